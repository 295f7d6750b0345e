"""
Files and texts as items and back: one module per format, all of them streaming where the format allows it.

The modules of Excel, HTML, XML and YAML bring large libraries and are imported when they are first needed, by
`lazily`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def lazily(module: str, name: str) -> Any:
    """Return a function of one of the format modules; the first call in a process may take a fifth of a second."""
    return getattr(import_module(f"{__name__}.{module}"), name)
