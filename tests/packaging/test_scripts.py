"""The scripts `make` asks before it starts: is there a Python, is there a Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "packaging"
TOOLS = ("sh", "dirname", "env", "true", "touch", "chmod")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shell scripts")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH with next to nothing on it, and a person who is not root."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    a_tool(folder, "id", "echo 1000")
    return folder


def a_tool(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def run(script: str, *arguments: str, path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(SCRIPTS / script), *arguments]
    return subprocess.run(command, env={"PATH": str(path), **environment}, capture_output=True, text=True, check=False)


def test_a_chromium_on_the_path_is_enough(bare: Path) -> None:
    """
    Nothing is installed, nothing is said.
    """
    a_tool(bare, "chromium", "")
    done = run("need_chromium.sh", path=bare)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_a_named_chromium_is_enough(bare: Path, tmp_path: Path) -> None:
    """
    TREADLE_CHROMIUM leads to one that is not on the PATH.
    """
    mine = a_tool(tmp_path, "my-chrome", "")

    assert 0 == run("need_chromium.sh", path=bare, TREADLE_CHROMIUM=str(mine)).returncode


def test_chromium_is_installed_where_sudo_asks_nothing(bare: Path) -> None:
    """
    apt-get gets the package and is never interactive.
    """
    a_tool(bare, "sudo", 'shift; exec "$@"')
    a_tool(bare, "apt-get", f'[ "$1" = install ] && touch {bare}/chromium && chmod 755 {bare}/chromium; exit 0')
    done = run("need_chromium.sh", path=bare)

    assert 0 == done.returncode
    assert "Installing Chromium" in done.stdout


def test_chromium_that_may_not_be_installed_is_asked_for(bare: Path) -> None:
    """
    sudo wants a password: one sentence says what to run.
    """
    a_tool(bare, "sudo", "exit 1")
    a_tool(bare, "apt-get", "exit 0")
    done = run("need_chromium.sh", path=bare)

    assert 1 == done.returncode
    assert "sudo apt install chromium" in done.stderr


def test_this_python_will_do(bare: Path) -> None:
    """
    It runs the tests, after all.
    """
    assert 0 == run("need_python.sh", sys.executable, path=bare).returncode


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        pytest.param(None, "there is no", id="no python at all"),
        pytest.param('[ "$1" = --version ] && echo Python 3.9.2; exit 1', "is Python 3.9.2", id="too old"),
        pytest.param('case "$2" in *ensurepip*) exit 1;; esac; exit 0', "sudo apt install python3-venv", id="no venv"),
    ],
)
def test_a_python_that_will_not_do_is_explained(bare: Path, script: str | None, sentence: str) -> None:
    """
    What is missing, and what to do about it.
    """
    name = "python-of-mine" if script is None else str(a_tool(bare, "python-of-mine", script))
    done = run("need_python.sh", name, path=bare)

    assert 1 == done.returncode
    assert sentence in done.stderr


def test_venv_is_installed_where_sudo_asks_nothing(bare: Path) -> None:
    """
    A fresh Debian has a python3 without it.
    """
    flag = bare.parent / "installed"
    python = a_tool(
        bare,
        "python-of-mine",
        f'case "$2" in *ensurepip*) [ -e {flag} ]; exit $?;; *venv*) echo python3.13-venv;; esac; exit 0',
    )
    a_tool(bare, "sudo", 'shift; exec "$@"')
    a_tool(bare, "apt-get", f'case "$*" in *python3.13-venv*) touch {flag};; esac')
    done = run("need_python.sh", str(python), path=bare)

    assert "Installing python3.13-venv" in done.stdout
    assert 0 == done.returncode
