"""
The packages that a workflow declares: one environment per set of them, built once, kept in the data folder.

An environment is found by the hash of its requirements and of the Python it is for. Only wheels are taken, so that nothing of a
package runs while it is installed; what it does later, it does in the cage.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import signal
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engine.errors import BadInput, NotAllowed, StoreError, Unavailable

LONGEST: Final = 600.0
"""How many seconds pip may take."""
MOST: Final = 50
_REQUIREMENT: Final = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
    r"(?:\[[A-Za-z0-9._-]{1,50}(?:\s*,\s*[A-Za-z0-9._-]{1,50}){0,9}\])?"
    r"(?:\s*(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]{1,50}(?:\s*,\s*(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]{1,50}){0,4})?"
)
_KEPT: Final = ("PATH", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "XDG_CONFIG_HOME", "LANG")
"""What pip is told of our environment, beside its own settings and those of a proxy."""


class Packages:
    """The environments under `folder`; with `is_allowed` False every set but the empty one is refused."""

    def __init__(self, folder: Path, *, is_allowed: bool = False) -> None:
        self.is_allowed = is_allowed
        self._folder = folder
        self._building: dict[str, asyncio.Task[str]] = {}

    async def get(self, requirements: Sequence[str]) -> tuple[str, ...]:
        """
        Return the folders that go in front of `sys.path`, after building the environment where it is not there yet.

        Raises `NotAllowed`, `BadInput` for what is no requirement or cannot be had, `Unavailable` when pip cannot be reached.
        """
        wanted = check_requirements(requirements)
        if not wanted:
            return ()
        if not self.is_allowed:
            raise NotAllowed(
                f"Packages are switched off in this Treadle, and the code wants {', '.join(wanted)}.",
                hint="Its owner can switch them on: allow_packages = true in treadle.toml.",
            )
        name = environment_name(wanted)
        ready = self._folder / name / "site"
        if ready.is_dir():
            return (str(ready),)
        task = self._building.get(name)
        if task is None:
            task = self._building[name] = asyncio.create_task(self._build(name, wanted), name=f"packages {name}")
            task.add_done_callback(lambda _: self._building.pop(name, None))
        # Others may wait for the same set: that one of them is cancelled does not end the building.
        return (await asyncio.shield(task),)

    async def stop(self) -> None:
        """End what is being built."""
        tasks = list(self._building.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _build(self, name: str, wanted: Sequence[str]) -> str:
        half = self._folder / f".{name}-{os.getpid()}"
        try:
            await asyncio.to_thread(_make_room, half)
            await self._run([sys.executable, "-I", "-m", "venv", str(half / "venv")], "making the environment", wanted)
            python = half / "venv" / "bin" / "python"
            options = ["--disable-pip-version-check", "--no-input", "--no-color", "--quiet", "--only-binary", ":all:"]
            await self._run([str(python), "-I", "-m", "pip", "install", *options, *wanted], "installing", wanted)
            return await asyncio.to_thread(self._put_in_place, half, name, wanted)
        finally:
            await asyncio.to_thread(shutil.rmtree, half, ignore_errors=True)

    def _put_in_place(self, half: Path, name: str, wanted: Sequence[str]) -> str:
        site = Path(sysconfig.get_path("purelib", "venv", {"base": str(half / "venv"), "platbase": str(half / "venv")}))
        finished = half / "done"
        try:
            finished.mkdir()
            site.rename(finished / "site")
            (finished / "requirements.txt").write_text("\n".join([*wanted, ""]), "utf-8")
            with contextlib.suppress(OSError):  # another Treadle on this folder was faster
                finished.rename(self._folder / name)
        except OSError as error:
            raise _no_room(self._folder, error) from error
        return str(self._folder / name / "site")

    async def _run(self, command: Sequence[str], doing: str, wanted: Sequence[str]) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"pip cannot be started: {error.strerror or error}.") from error
        try:
            async with asyncio.timeout(LONGEST):
                _, said = await process.communicate()
        except TimeoutError:
            raise Unavailable(
                f"{doing.capitalize()} {', '.join(wanted)} took longer than {LONGEST:g} s.", hint="Try again later."
            ) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode != 0:
            raise _refused(said.decode(errors="replace"), doing, wanted)


def check_requirements(requirements: Sequence[str]) -> tuple[str, ...]:
    """
    Return the requirements in one order, each once.

    Raises `BadInput` for anything but a name with extras and versions: no addresses, no paths, no options of pip.
    """
    wanted = [str(one).strip() for one in requirements if str(one).strip()]
    for one in wanted:
        if not _REQUIREMENT.fullmatch(one):
            raise BadInput(
                "packages", f"“{one[:80]}” is no package.", hint="Write a name, or a name and a version: numpy==2.3.4"
            )
    if len(wanted) > MOST:
        raise BadInput("packages", f"{len(wanted)} packages are more than {MOST}.")
    return tuple(sorted({re.sub(r"\s+", "", one) for one in wanted}, key=str.lower))


def environment_name(wanted: Sequence[str]) -> str:
    """Return the name of the folder of a set: a hash of it and of the Python it is for."""
    machine = f"{sys.implementation.cache_tag} {sysconfig.get_platform()}"
    return hashlib.sha256("\n".join([machine, *wanted]).encode()).hexdigest()[:32]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("PIP_")}
    return kept | {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}


def _make_room(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise _no_room(folder, error) from error


def _no_room(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"The packages cannot be kept in {folder}: {error.strerror or error}.",
        hint="Check the free space and the permissions of the data folder.",
    )


def _refused(said: str, doing: str, wanted: Sequence[str]) -> BadInput | Unavailable:
    """Return pip's own reason, its last line that says one, as an error."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    reason = re.sub(r"//[^/\s@]*@", "//", (errors or lines or ["it gave no reason"])[-1])[:500]
    if any(word in said for word in ("No matching distribution", "ResolutionImpossible", "Invalid requirement")):
        first = re.sub(r"//[^/\s@]*@", "//", errors[0])[:500] if errors else reason
        hint = "Check the names and versions; only wheels are taken."
        return BadInput("packages", f"{', '.join(wanted)} cannot be installed: {first}", hint=hint)
    hint = "Check the connection, and pip's settings."
    if "ensurepip" in said:
        hint = "Install Python's venv and ensurepip modules."
    return Unavailable(f"{doing.capitalize()} {', '.join(wanted)} failed: {reason}", hint=hint)
