"""The pins: complete, without addresses, and under names that do not collide."""

from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from pathlib import Path

import packaging
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FRONTEND = ROOT / "ui" / "editor" / "canvas" / "frontend"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins() -> dict[str, str]:
    """Package name to version, as constraints.txt has them."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def wanted() -> list[Requirement]:
    """Every requirement that pyproject.toml names."""
    project = PROJECT["project"]
    named = project["dependencies"] + [each for extra in project["optional-dependencies"].values() for each in extra]
    return [Requirement(text) for text in named + PROJECT["build-system"]["requires"]]


def test_every_requirement_is_pinned_to_a_version_it_allows() -> None:
    """
    A pin that contradicts pyproject.toml would fail at every installation.
    """
    known = pins()

    assert [] == [str(each) for each in wanted() if not each.specifier.contains(known.get(canonicalize_name(each.name), "0"))]


def test_what_the_requirements_bring_along_is_pinned_too() -> None:
    """
    Nothing in the environment is left to the day of the installation.
    """
    known = pins()
    open_names = [canonicalize_name(each.name) for each in wanted() if each.name != "pywebview"]
    missing, seen = set(), set()
    while open_names:
        name = open_names.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in known:
            missing.add(name)
        for text in importlib.metadata.requires(name) or [] if is_installed(name) else []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                open_names.append(canonicalize_name(requirement.name))

    assert set() == missing


def is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def test_pins_hold_no_addresses() -> None:
    """
    Where packages come from is the machine's business.
    """
    assert "//" not in (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lock = json.loads((FRONTEND / "package-lock.json").read_text(encoding="utf-8"))
    assert [] == [name for name, package in lock["packages"].items() if "resolved" in package]


def test_npm_packages_are_exact() -> None:
    """
    `npm ci` follows the lock; package.json says the same without ranges.
    """
    package = json.loads((FRONTEND / "package.json").read_text(encoding="utf-8"))
    named = {**package["dependencies"], **package["devDependencies"]}

    assert [] == [name for name, version in named.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)]


def test_our_packaging_folder_does_not_hide_the_library() -> None:
    """
    `import packaging` means the library of that name, also at the root of this repository.
    """
    assert not (ROOT / "packaging" / "__init__.py").exists()
    assert packaging.__file__ is not None
    assert ROOT / "packaging" not in Path(packaging.__file__).parents


def test_every_dependency_is_explained() -> None:
    """
    docs/dependencies.md says what each is for.
    """
    explained = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    package = json.loads((FRONTEND / "package.json").read_text(encoding="utf-8"))
    names = [each.name for each in wanted()] + [*package["dependencies"], *package["devDependencies"]]

    assert [] == [name for name in names if f"`{name.lower()}`" not in explained]
