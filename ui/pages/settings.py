"""Settings."""

from pathlib import Path


def install(data: Path | None = None) -> None:
    """Register the page."""
