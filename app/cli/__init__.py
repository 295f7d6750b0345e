"""The command line: `treadle`."""

from app.cli.root import main

__all__ = ["main"]
