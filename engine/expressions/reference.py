"""
Writes the reference page of the language from the function table: `python -m engine.expressions.reference`.

A test holds the page to the table, and runs every example on it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from .budget import DEFAULT, MEBIBYTE
from .functions import FUNCTIONS, GROUPS, Function
from .lexer import MAX_DIGITS, MAX_SOURCE
from .parser import MAX_NESTING
from .values import json_bytes

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "expressions.md"

_GROUP_TITLES = {
    "text": "Texts",
    "pattern": "Patterns",
    "number": "Numbers",
    "decimal": "Decimals",
    "list": "Lists",
    "object": "Objects",
    "date": "Dates and moments",
    "duration": "Durations",
    "logic": "Choosing and asking",
    "encoding": "JSON, hashes, encodings",
}
_GROUP_NOTES = {
    "pattern": "Patterns are regular expressions as [RE2](https://github.com/google/re2/wiki/Syntax) reads them: "
    "no look-around, no backreferences, and a time that grows with the text and never explodes. "
    'In a text a backslash is written twice: `"\\\\d+"`.',
    "decimal": "Decimals count exactly, with up to 50 digits. Together with a number the result is a decimal.",
    "list": "The function written as `x => …` may take the place of the value as its second name: `(x, i) => …`.",
    "date": "Where a date is asked for, its text in ISO 8601 will do. The zone is that of the workflow unless one is named.",
    "logic": "`if`, `switch`, `coalesce` and `try` compute only what they need.",
}

_HEAD = f"""\
# Expressions

<!-- Written by `python -m engine.expressions.reference`; change the function table, not this page. -->

Expressions compute what a field holds. Inside text they stand in `{{{{ … }}}}`; a field that is an expression by nature,
such as `where` of a filter, takes them bare.

```
item.price * item.qty
item.name ?? "unknown"
item.total > 100 ? "big" : "small"
item.lines.filter(l => l.qty > 1).map(l => l.sku).join(", ")
items.sum(i => i.total)
today() + days(3)
nodes.fetch.item.status
```

## Names

| name | what it is |
|---|---|
| `item` | the item that the step works on |
| `items` | all items of the batch |
| `index` | the place of the item in the batch, counted from 0 |
| `nodes.<id>` | what another node gave: `nodes.fetch.item` is the item this one came from, `nodes.fetch.items` all of them |
| `run`, `workflow` | this run and this workflow |
| `vars` | the variables of the workflow |

## Values

| kind | written | stored in an item as |
|---|---|---|
| null | `null` | `null` |
| true or false | `true`, `false` | the same |
| number | `12`, `2.5`, `1e3`, `1_000` | a number |
| text | `"…"` or `'…'`, with `\\n \\t \\\\ \\" \\u00e9 \\u{{1F600}}` | a text |
| list | `[1, 2, ...more]` | a list |
| object | `{{name: 1, "other name": 2, [computed]: 3, ...rest}}` | an object |
| date | `date("2026-11-23")` | `"2026-11-23"` |
| moment | `now()`, `datetime("2026-11-23T08:00Z")` | ISO 8601 with its offset: `"2026-11-23T08:00:00Z"` |
| duration | `days(3)`, `duration("1h 30m")` | ISO 8601: `"PT1H30M"` |
| decimal | `decimal("0.10")` | its digits as text: `"0.10"` |
| file | comes from a step | a handle; shows `name`, `type`, `size`, `hash` |

- A missing field is null, and so is everything inside it: `item.customer.city ?? "unknown"`. Computing with null is an error.
- `item["field name"]` reads a field whose name has other letters; `list[0]`, `list[-1]`, `list[1:3]` read places.
- null, `false`, `0` and empty texts, lists and objects count as false.
- A text is compared with a date by reading it as ISO 8601: `item.due < today()` works when `item.due` is `"2026-11-01"`.
  Other kinds are never converted in silence: `"5" == 5` is false, `"5" * 2` an error; `number("5")` reads a number.
- `+` joins a text with anything simple. Dates take durations: `today() + days(3)`; whole days keep the time on the wall clock.
- `/` of two whole numbers stays whole where it divides evenly; `%` has the sign of the divisor, as in a spreadsheet.

## Operators, from tight to loose

| operators | |
|---|---|
| `.name` `[…]` `f(…)` | fields, places, functions; every function is also a method: `upper(x)` is `x.upper()` |
| `??` | the right side where the left is null; tighter than arithmetic, so `item.price * item.qty ?? 0` needs no brackets |
| `-x` `+x` `!x` | signs, not |
| `*` `/` `%` | |
| `+` `-` | |
| `==` `!=` `<` `<=` `>` `>=` `in` `not in` | `x in list`, `"part" in text`, `"name" in object` |
| `not` | |
| `&&` `and` | the right side is computed only where it is needed; gives one of its sides |
| `\\|\\|` `or` | likewise |
| `a ? b : c` | |

## In text

`{{{{ … }}}}` inside a text is filled in: null is empty, dates are in ISO 8601, lists and objects are JSON. A text that is one
single `{{{{ … }}}}` keeps the kind of its value. `{{{{{{{{` writes `{{{{`.

## Limits

| what | at most |
|---|---|
| length of an expression | {MAX_SOURCE:,} characters |
| nesting | {MAX_NESTING} levels |
| steps (loop passes, pieces of data walked through) | {DEFAULT.steps:,}; more for big batches |
| length of a text | {DEFAULT.text:,} characters |
| everything built on the way | {DEFAULT.memory // MEBIBYTE} MB; more for big batches |
| result, as JSON | {DEFAULT.result // MEBIBYTE} MB |
| depth of a value | {DEFAULT.depth} levels |
| digits of a number | {MAX_DIGITS}; results have up to 64 bits, decimals go on |
"""


def render_page() -> str:
    """Return the whole page as Markdown."""
    parts = [_HEAD]
    for group in GROUPS:
        functions = sorted((function for function in FUNCTIONS.values() if function.group == group), key=lambda one: one.name)
        parts.append(f"\n## {_GROUP_TITLES[group]}\n")
        if group in _GROUP_NOTES:
            parts.append(f"\n{_GROUP_NOTES[group]}\n")
        parts.extend(_entry(function) for function in functions)
    return "".join(parts)


def _entry(function: Function) -> str:
    lines = [f"\n### `{function.signature}`\n\n{function.help}"]
    if function.deprecated:
        lines.append(f" Deprecated: use {function.deprecated}.")
    lines.append("\n\n```\n")
    width = max(len(source) for source, _ in function.examples)
    lines += [f"{source.ljust(width)}  → {_shown(expected)}\n" for source, expected in function.examples]
    lines.append("```\n")
    return "".join(lines)


def _shown(value: object) -> str:
    return json_bytes(value).decode()


def main(arguments: Sequence[str] = ()) -> int:
    """Write the page; with `--check` only tell by the exit code whether it is fresh."""
    page = render_page()
    if "--check" in arguments:
        return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page else 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
