"""Finds the connectors: every folder beside this one whose `connector.py` holds a `Connector`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from connectors.sdk import Connector
from engine.steps.spec import StepSpec

HOME = Path(__file__).parents[1]


def find_connectors() -> Iterator[Connector]:
    """
    Yield the connectors that come with Treadle, by name.

    Raises `TypeError` for a folder whose `connector.py` holds none, or one that is called otherwise than its folder.
    """
    for folder in sorted(path.name for path in HOME.iterdir() if (path / "connector.py").is_file()):
        module = import_module(f"connectors.{folder}.connector")
        found = [value for value in vars(module).values() if isinstance(value, Connector)]
        if [connector.id for connector in found] != [folder]:
            raise TypeError(f"connectors/{folder}/connector.py holds one Connector with the id {folder!r}")
        yield found[0]


def load_connectors() -> list[StepSpec]:
    """Return the steps of all connectors."""
    return [step for connector in find_connectors() for step in connector.steps]
