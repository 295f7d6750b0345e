"""What an HTTP method says about a request (RFC 9110 §9.2)."""

from __future__ import annotations

from typing import Final

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that only read."""
