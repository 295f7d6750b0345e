"""What people can set, type and call is described where they look for it."""

from dataclasses import fields
from pathlib import Path

import pytest

from app.config import Settings

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", [spec.name for spec in fields(Settings)])
def test_every_setting_is_described(name):
    """
    Each setting stands in the table with its variable.
    """
    assert f"`TREADLE_{name.upper()}`" in (DOCS / "reference" / "settings.md").read_text("utf-8")


def test_every_command_is_described():
    """
    Each command, subcommand and option stands on the page of the command line.
    """
    import typer.main

    from app.cli.root import root

    page = (DOCS / "reference" / "command-line.md").read_text("utf-8")
    missing = []

    def visit(command, words):
        for parameter in command.params:
            long = next((option for option in getattr(parameter, "opts", []) if option.startswith("--")), None)
            if long and long not in {"--help", "--version", "--install-completion", "--show-completion"} and long not in page:
                missing.append(f"{' '.join(words)} {long}")
        for name, inner in getattr(command, "commands", {}).items():
            if f"treadle {' '.join([*words, name])}" not in page and not getattr(inner, "commands", None):
                missing.append(f"treadle {' '.join([*words, name])}")
            visit(inner, [*words, name])

    visit(typer.main.get_command(root), [])
    assert [] == missing


def test_links_lead_somewhere():
    """
    A link from one page to another file of the repository leads to a file or folder that is there.
    """
    import re

    broken = []
    for page in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(DOCS.parent)} → {target}")
    assert [] == broken
