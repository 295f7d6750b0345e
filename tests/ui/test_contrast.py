"""Text can be read on every surface it stands on, in light and in dark (WCAG 2.1, 1.4.3: 4.5 to 1)."""

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).parents[2] / "assets" / "css" / "tokens.css").read_text("utf-8")
LIGHT, DARK = (dict(re.findall(r"--tr-([\w-]+): (#[0-9a-f]{6})", part)) for part in CSS.split("body.body--dark"))
INKS = (
    "text",
    "muted",
    "faint",
    "accent",
    "ok",
    "bad",
    "run",
    "warn",
    "hue-data",
    "hue-flow",
    "hue-files",
    "hue-code",
    "hue-messages",
)
PAPERS = ("surface", "canvas", "raised", "sunken", "hover")
PAIRS = [(ink, paper) for ink in INKS for paper in PAPERS]
PAIRS += [(ink, f"{ink}-soft") for ink in ("accent", "ok", "bad", "run", "warn")] + [
    ("muted", "idle-soft"),
    ("on-fill", "fill"),
]


def brightness(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [pytest.param(LIGHT, id="light"), pytest.param(DARK, id="dark")])
@pytest.mark.parametrize(("ink", "paper"), PAIRS)
def test_contrast(theme, ink, paper):
    """
    Every ink on every paper reaches 4.5 to 1.
    """
    high, low = sorted((brightness(theme[ink]), brightness(theme[paper])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= 4.5
