"""Which Treadle runs on a data folder, so that the command line can speak to it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "server.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A running Treadle: its process and the address it listens on. There is no secret in it."""

    pid: int
    url: str


def announce(data: Path, url: str) -> Path:
    """Write down that this process serves the folder; returns the file, to be removed at the end."""
    path = data / FILE
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(asdict(Instance(pid=os.getpid(), url=url))), "utf-8")
    beside.replace(path)
    return path


def find_instance(data: Path) -> Instance | None:
    """Return the Treadle that serves this folder, None when there is none or its process is gone."""
    try:
        instance = Instance(**json.loads((data / FILE).read_text("utf-8")))
        os.kill(instance.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return instance
