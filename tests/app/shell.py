"""The command line, in this process and as a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from app.cli.root import root
from app.instance import Instance, find_instance

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from app.cli import main; main()"]


class Shell:
    """A person at a prompt with one data folder; `run` stays in this process."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._runner = CliRunner()

    def run(self, *words: str | Path, input: str | None = None, expect: int = 0, **environment: str) -> Result:
        """Call `treadle WORDS` and see that it ends with the exit code."""
        given = {"TREADLE_DATA": str(self.data), "TERM": "dumb", "NO_COLOR": "1", **environment}
        result = self._runner.invoke(root, [str(word) for word in words], input=input, env=given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert expect == result.exit_code, f"{result.stdout}\n{result.stderr}"
        return result

    def json(self, *words: str | Path, **options: Any) -> Any:
        """Call it with `--json` and read the answer."""
        return json.loads(self.run(*words, "--json", **options).stdout)

    def write(self, name: str, text: str) -> Path:
        """Put a file beside the data folder."""
        path = self.data.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path


def environment(data: Path, **more: str) -> dict[str, str]:
    """Return the environment of a machine without a screen and with one data folder."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("TREADLE_", "DISPLAY", "WAYLAND_DISPLAY"))
    }
    return {**kept, "TREADLE_DATA": str(data), "PYTHONPATH": str(ROOT), "TERM": "dumb", **more}


def program(data: Path, *words: str | Path, expect: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `treadle WORDS` as a program of its own."""
    done = subprocess.run(
        [*PROGRAM, *map(str, words)],
        env=environment(data),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=data.parent,
        **options,
    )
    assert expect == done.returncode, f"{done.stdout}\n{done.stderr}"
    return done


def begin(data: Path, *words: str | Path) -> subprocess.Popen[str]:
    """Start `treadle WORDS` and leave it running."""
    return subprocess.Popen(
        [*PROGRAM, *map(str, words)],
        env=environment(data),
        cwd=data.parent,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for_server(data: Path, server: subprocess.Popen[str]) -> Instance:
    """Return where the server answers, once it does."""
    end = time.monotonic() + 45
    while time.monotonic() < end:
        if server.poll() is not None:
            raise AssertionError(f"the server ended: {server.communicate()}")
        if (data / "server.json").exists() and (instance := find_instance(data)):
            return instance
        time.sleep(0.02)
    raise AssertionError("the server never answered")
