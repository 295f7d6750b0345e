"""Every kind of step there is, found by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from engine.errors import NotFound
from engine.steps.spec import StepSpec


class Catalog:
    """The steps one Treadle knows; it is filled once at start and only read afterwards."""

    def __init__(self, specs: Iterable[StepSpec]) -> None:
        self._specs: dict[str, StepSpec] = {}
        for spec in specs:
            if spec.name in self._specs:
                raise ValueError(f"two steps are named {spec.name!r}")
            self._specs[spec.name] = spec

    def __iter__(self) -> Iterator[StepSpec]:
        return iter(self._specs.values())

    def __len__(self) -> int:
        return len(self._specs)

    def find(self, name: str) -> StepSpec | None:
        """Return the step of that name, None when there is none."""
        return self._specs.get(name)

    def get(self, name: str) -> StepSpec:
        """Return the step of that name; raises `NotFound` that names the nearest one."""
        if spec := self._specs.get(name):
            return spec
        nearest = self.nearest(name)
        raise NotFound("step", name, hint=f"Did you mean “{nearest}”?" if nearest else None)

    def nearest(self, name: str) -> str | None:
        """Return the known name most like this one, None when nothing is close."""
        if close := difflib.get_close_matches(name, self._specs, n=1, cutoff=0.6):
            return close[0]
        tail = name.rsplit(".", 1)[-1]
        return next((known for known in self._specs if known.rsplit(".", 1)[-1] == tail), None)
