"""Data that would break a page: as deep as can be stored, as long as can be sent."""

from typing import Any

from nicegui import json

from ui.components.data_view import DEEPEST_SHOWN, cell_of, plain


def deep(levels: int, inner: Any = 1) -> Any:
    value = inner
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


def test_the_deepest_item_is_sent_to_the_browser():
    """
    What can be stored can be looked at: where it is too deep to be sent, the rest is shown as a text.
    """
    for levels in (1, DEEPEST_SHOWN - 1, DEEPEST_SHOWN, DEEPEST_SHOWN + 1, 250):
        assert len(json.dumps({"page": {"element": {"props": {"data": [plain(deep(levels))]}}}})) < 5_000
    assert deep(DEEPEST_SHOWN) == plain(deep(DEEPEST_SHOWN))


def test_a_long_text_is_cut():
    """
    A text of megabytes does not freeze the browser; the JSON view says how much is left out.
    """
    sent = json.dumps(plain({"text": "x" * 5_000_000}))
    assert len(sent) < 200_000
    assert "4,9" in sent
    assert len(json.dumps(cell_of("x" * 5_000_000))) < 10_000
