"""Outside services, one folder each. `connectors.sdk` is what they are written with; `load_connectors` finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.steps.spec import StepSpec


def load_connectors() -> list[StepSpec]:
    """Return the steps of all connectors that come with Treadle."""
    from connectors._runtime.loader import load_connectors as load

    return load()
