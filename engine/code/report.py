"""What the cage promises on this machine, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from engine.steps.code import Wall

_TOLD: Final[tuple[tuple[str, str, str], ...]] = (
    ("memory", "Memory has a limit.", "Memory has no limit here: code that asks for too much slows the machine down."),
    ("files", "Files cannot be read, but for Python's own.", "Files of this computer can be read by code."),
    ("writing", "Files cannot be written, but in a temp folder.", "Files of this computer can be changed by code."),
    ("network", "There is no network unless the step grants it.", "The network is open to code, whatever the step says."),
    ("processes", "No other process can be started.", "Other processes can be started by code; they end with it."),
    ("programs", "No other program can be run.", "Other programs can be run by code."),
    ("signals", "Other processes cannot be reached.", "Signals can be sent to other processes of yours."),
)
_ALWAYS: Final = (
    Wall("time", True, "What takes too long is killed, whatever it is doing."),
    Wall("secrets", True, "The environment is empty and nothing is inherited: no secrets, no open files, no connections."),
)


def describe_walls(held: Mapping[str, bool], down: Mapping[str, str]) -> Sequence[Wall]:
    """
    Return every promise with whether it is kept.

    `held` says which walls held when they were tried; without any, code cannot run here at all. `down` says why walls are
    missing, in the kernel's words.
    """
    if not held:
        why = down.get("start", "")
        return (Wall("code", False, f"Code steps do not run here. {why}".strip()),)
    reason = "; ".join(dict.fromkeys(f"{name}: {text}" for name, text in down.items()))
    found = list(_ALWAYS)
    for name, kept, broken in _TOLD:
        is_up = held.get(name, False)
        found.append(Wall(name, is_up, kept if is_up else f"{broken} ({reason})" if reason else broken))
    return tuple(found)
