"""The map of the house, kept true by reading the imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "engine", "ui", "connectors", "migrations", "assets")

GROUND = {"engine.errors", "engine.clock", "engine.ids"}
MODEL = GROUND | {"engine.expressions", "engine.model", "engine.events", "engine.protocols"}
RUNNING = MODEL | {"engine.steps", "engine.maintenance"}

MAY_IMPORT = {
    "engine.errors": set(),
    "engine.clock": set(),
    "engine.ids": set(),
    "engine.access": {"engine.errors"},
    "engine.expressions": GROUND,
    "engine.model": GROUND | {"engine.expressions"},
    "engine.events": GROUND | {"engine.model"},
    "engine.protocols": GROUND | {"engine.model", "engine.events"},
    "engine.steps": MODEL,
    "engine.code": MODEL | {"engine.steps"},
    "engine.maintenance": MODEL,
    "engine.store": MODEL | {"migrations"},
    "engine.vault": MODEL,
    "engine.run": RUNNING,
    "engine.triggers": RUNNING | {"engine.run"},
    "engine.service": {"engine"},
    "connectors": {"engine.steps", "engine.errors"},
    "ui": {"engine.service", "engine.model", "engine.events", "engine.errors", "assets"},
    "migrations": {"engine.store"},
    "assets": set(),
    "app": {"engine", "connectors", "ui", "assets", "migrations"},
}
"""Who may import whom, beside oneself. A row that grows needs a reason in an ADR."""

ONLY_IN = {
    "sqlalchemy": ("engine.store", "migrations"),
    "alembic": ("engine.store", "migrations"),
    "sqlcipher3": ("engine.store",),
    "psycopg": ("engine.store",),
    "httpx": ("connectors._runtime", "app.remote"),
    "apscheduler": ("engine.triggers",),
    "nicegui": ("ui", "app"),
    "fastapi": ("app", "ui"),
    "starlette": ("app", "ui"),
    "typer": ("app",),
    "re2": ("engine.expressions",),
    "ruamel": ("engine.model", "engine.steps"),
    "msgspec": ("engine.code",),
}
"""Libraries that one place alone may know."""


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Return the absolute names of the modules that a file imports, type-checking blocks left out."""
    found: set[str] = set()
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                name = ".".join([*base, node.module] if node.module else base)
            else:
                name = node.module or ""
            found.update({f"{name}.{alias.name}" for alias in node.names} if name in {"engine", *PACKAGES} else {name})
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text("utf-8")))
    return found


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")) if "node_modules" not in path.parts]


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def area_of(module: str) -> str | None:
    return max((area for area in MAY_IMPORT if within(module, area)), key=len, default=None)


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_imports_run_one_way(path):
    """
    A module imports its own area and the areas below it, nothing else of the house.
    """
    module = module_of(path)
    area = area_of(module)
    if area is None:
        assert module == "engine", f"{module} stands outside the map; give its area a row in MAY_IMPORT"
        return
    allowed = {area, *MAY_IMPORT[area]}
    wrong = {
        name
        for name in imports_of(path)
        if name.split(".")[0] in PACKAGES and not any(within(name, other) for other in allowed) and name != "engine"
    }
    assert set() == wrong


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_each_library_has_its_one_place(path):
    """
    What may change under us, or could do harm, is known in one place only.
    """
    module = module_of(path)
    wrong = {
        name
        for name in imports_of(path)
        for library, homes in ONLY_IN.items()
        if within(name, library) and not any(within(module, home) for home in homes)
    }
    assert set() == wrong


def test_packaging_stays_a_plain_folder():
    """
    An `__init__.py` in packaging/ would hide the library of that name.
    """
    assert not (ROOT / "packaging" / "__init__.py").exists()
