"""Every run, newest first."""


def install() -> None:
    """Register the page."""
