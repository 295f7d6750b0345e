"""The facade: one Studio bound to one actor."""

from engine.service.studio import Parts, Studio

__all__ = ["Parts", "Studio"]
