"""The reference page says what the function table says."""

from engine.expressions import FUNCTIONS
from engine.expressions.reference import PAGE, main, render_page


def test_the_page_is_fresh():
    """
    The page in docs/ is what the table gives; `python -m engine.expressions.reference` writes it anew.
    """
    assert render_page() == PAGE.read_text(encoding="utf-8")
    assert 0 == main(["--check"])


def test_every_function_is_on_the_page():
    """
    Each function stands there with its signature, its help and its examples.
    """
    page = render_page()
    for function in FUNCTIONS.values():
        assert f"### `{function.signature}`" in page
        assert function.help in page
        assert all(source in page for source, _ in function.examples)
