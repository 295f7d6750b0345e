"""Rules that hold for the whole studio, read from its sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "ui"
SOURCES = sorted(path for path in ROOT.rglob("*.py") if "node_modules" not in path.parts)
SCRIPTS = sorted(path for path in ROOT.rglob("*.js") if not {"node_modules", "dist", "frontend"} & set(path.parts))
HOME = ROOT / "browser.py"
DANGEROUS = {"run_javascript", "html", "markdown", "restructured_text", "mermaid", "add_body_html", "add_head_html"}
STYLESHEETS = {ROOT / "theme.py", ROOT / "editor" / "canvas" / "canvas.py"}
"""They put a link to our own stylesheets into the head, nothing else."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_module_but_one_hands_scripts_or_markup_to_the_browser(path):
    """
    Run data, names and documents are shown as text, so nothing in them can become code.
    """
    if path == HOME:
        return
    allowed = {"add_head_html"} if path in STYLESHEETS else set()
    used = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in {"ui", "client", "nicegui_app"}
    }
    assert set() == (used & DANGEROUS) - allowed


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_our_components_build_no_markup_from_text(path):
    """
    Vue draws text nodes; nobody asks it to read text as HTML or as code.
    """
    source = path.read_text("utf-8")
    assert [] == [
        word for word in ("innerHTML", "v-html", "outerHTML", "insertAdjacentHTML", "eval(", "new Function") if word in source
    ]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_js_handlers_are_constants(path):
    """
    A handler that runs in the browser is written down, never put together from what a person or a run supplied.
    """
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "js_handler" and isinstance(node.value, ast.JoinedStr):
            names = {
                part.value.id
                for part in node.value.values
                if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name)
            }
            found += [name for name in names if not name.isupper()]
    assert [] == found
