"""
Write `docs/reference/steps.md` from the steps themselves: `python packaging/steps_reference.py`.

With `--check` nothing is written; the exit code tells whether the page is what the steps say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from connectors import load_connectors  # noqa: E402 - the repository is put on the path first
from engine.model.durations import format_duration  # noqa: E402
from engine.steps.builtin import builtin_steps  # noqa: E402
from engine.steps.formats.cells import to_json  # noqa: E402
from engine.steps.spec import FieldSpec, StepSpec  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "steps.md"

KINDS = {
    "text": "text",
    "long_text": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "duration": "duration (`30s`, `1h30m`)",
    "datetime": "date or moment",
    "cron": "times (cron)",
    "timezone": "time zone",
    "list": "list",
    "object": "object",
    "any": "anything",
    "expression": "expression",
    "expressions": "name: expression, or a list of expressions",
    "expression_list": "expression, or a list of them",
    "cases": "port: condition",
    "items": "list of objects",
    "code": "code",
}

HEAD = """# Steps

<!-- Written by packaging/steps_reference.py from the steps themselves; edit those. -->

What a node can do: its name stands under `use`, its fields under `with`.

A field that is an *expression* takes it bare (`where: item.total > 100`). All other fields may have `{{ … }}` in their texts,
also inside lists and objects; a text that is one single `{{ … }}` keeps the type of its value. In steps that see the whole
batch such a text is filled in once, with `item` as the first item; in steps marked *for each item* it is filled in for each.
Every step but a trigger also has a port `error`, which is live when the node says `on_error: route`.
"""


def render_page(specs: Iterable[StepSpec]) -> str:
    """Return the whole page."""
    listed = list(specs)
    lines = [HEAD]
    for category in dict.fromkeys(spec.category for spec in listed):
        within = [spec for spec in listed if spec.category == category]
        lines.append(f"- {category.capitalize()}: {', '.join(f'[`{spec.name}`](#{anchor(spec)})' for spec in within)}")
    lines.append("")
    for spec in listed:
        lines += render_step(spec)
    return "\n".join(lines).rstrip() + "\n"


def anchor(spec: StepSpec) -> str:
    """Return the name a heading goes by in links."""
    return f"{spec.name.replace('.', '')}-{spec.title.lower().replace(' ', '-').replace('(', '').replace(')', '')}"


def render_step(spec: StepSpec) -> Iterator[str]:
    """Yield the lines about one step."""
    yield f"## `{spec.name}` {spec.title}"
    yield ""
    yield spec.help
    yield ""
    yield ". ".join(traits(spec)) + "."
    yield ""
    if spec.fields:
        yield "| field | is | what it says |"
        yield "| --- | --- | --- |"
        for field in spec.fields:
            yield f"| `{field.name}` | {cell(kind_of(field))} | {cell(words_of(field))} |"
        yield ""
    if spec.sample is not None:
        yield "An item it gives:"
        yield ""
        yield "```json"
        first = spec.sample[0] if isinstance(spec.sample, list) and spec.sample else spec.sample
        yield to_json(first)
        yield "```"
        yield ""


def traits(spec: StepSpec) -> Iterator[str]:
    """Yield what holds for the step as a whole."""
    if spec.is_trigger:
        yield "A trigger: it starts a run"
    else:
        yield "Works on each item" if spec.mode == "each" else "Works on the whole batch"
    ins = [port.name for port in spec.ports_in]
    outs = [port.name for port in spec.ports_out]
    if ins not in ([], ["in"]):
        yield f"Ports in: {', '.join(f'`{name}`' for name in ins)}"
    if spec.ports_for:
        yield f"Ports out: one for each case, and `{outs[0]}`"
    elif outs != ["out"]:
        yield f"Ports out: {', '.join(f'`{name}`' for name in outs)}" if outs else "Nothing leaves it"
    if spec.effect_for:
        yield "What it does outside depends on its fields: at the most it writes or removes"
    elif spec.effect != "none":
        yield {"read": "Reads from outside", "write": "Changes things outside", "destroy": "Removes things outside"}[
            spec.effect
        ]
    if spec.auth:
        yield f"Signs in with a connection: {', '.join(f'`{kind}`' for kind in spec.auth)}"


def kind_of(field: FieldSpec) -> str:
    """Return what a field takes, and whether it must be there."""
    if field.choices:
        kind = ", ".join(f"`{value}`" for value, _ in field.choices)
        kind = kind if field.type == "choice" else f"{KINDS[field.type]}: {kind}"
    else:
        kind = KINDS[field.type]
    if field.minimum is not None or field.maximum is not None:
        least = "" if field.minimum is None else f"{field.minimum:g}"
        most = "" if field.maximum is None else f"{field.maximum:g}"
        kind += f", {least} to {most}" if least and most else f", at least {least}" if least else f", at most {most}"
    return f"{kind}; must be there" if field.required else kind


def words_of(field: FieldSpec) -> str:
    """Return label, help, default and when the field counts."""
    words = f"**{field.label}.** {field.help}".rstrip()
    if field.choices and any(label.lower().replace(" ", "_") != value.lower() for value, label in field.choices):
        words += " " + "; ".join(f"`{value}`: {label}" for value, label in field.choices) + "."
    if field.default not in (None, "", []):
        words += f" Else `{default_of(field.default)}`."
    if field.show_when:
        words += " Only for " + " and ".join(
            f"`{name}` {', '.join(f'`{value}`' for value in values)}" for name, values in field.show_when.items()
        )
        words += "."
    return words


def default_of(value: Any) -> str:
    """Return a default as a workflow would write it."""
    if hasattr(value, "total_seconds"):
        return format_duration(value)
    return value if isinstance(value, str) else to_json(value)


def cell(text: str) -> str:
    """Return text that can stand in a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> int:
    """Write or check the page; 0 when it is what the steps say."""
    page = render_page([*builtin_steps(), *load_connectors()])
    if "--check" in sys.argv:
        return 0 if PAGE.exists() and PAGE.read_text("utf-8") == page else 1
    PAGE.write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
