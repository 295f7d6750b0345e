"""
What may come next while somebody types an expression: names, fields of the sample data, functions.

To know the fields behind a dot, the part before it is evaluated on the sample with a small budget; inside `l => l.` the name
stands for the first value of the list that the function works on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .budget import Budget
from .errors import ExpressionError
from .expression import compile_expression
from .functions import FUNCTIONS, Function
from .lexer import MAX_SOURCE, Token, tokenize
from .values import Lazy, as_opaque_fields, is_opaque, kind_of, short_kind_of

SuggestionKind = Literal["name", "field", "function", "node", "word"]
_BUDGET = Budget(steps=20_000, memory=4 << 20, text=100_000, result=4 << 20)
_NAME_HELP = {
    "item": "the item that this step works on",
    "items": "all items of the batch",
    "index": "the place of the item in the batch, counted from 0",
    "nodes": "what other nodes gave: nodes.<id>.item, nodes.<id>.items",
    "run": "this run: its id, when it started",
    "workflow": "this workflow: its id and name",
    "vars": "the variables of the workflow",
}
_METHOD_GROUPS: dict[str, tuple[str, ...]] = {
    "text": ("text", "pattern", "encoding"),
    "number": ("number", "decimal"),
    "decimal": ("number", "decimal"),
    "list": ("list",),
    "object": ("object",),
    "date": ("date",),
    "datetime": ("date",),
    "duration": ("duration",),
}
_MORE_METHODS = {
    "text": ("length", "number", "date", "datetime", "contains", "index_of", "is_empty", "decimal", "duration"),
    "list": ("length", "join", "contains", "json"),
    "object": ("length", "json", "contains"),
    "number": ("text", "pad_start"),
    "date": ("text",),
    "datetime": ("text",),
    "duration": ("text",),
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """
    One thing that may come next.

    `insert` takes the place of the characters from `start` to `end`; `cursor` is where the cursor stands then, counted from
    the start of `insert`. `detail` is a short note: a kind and a sample, or the signature.
    """

    label: str
    kind: SuggestionKind
    insert: str
    detail: str
    start: int
    end: int
    cursor: int


def suggest(source: str, cursor: int, scope_sample: Mapping[str, Any], *, limit: int = 60) -> list[Suggestion]:
    """Return what may stand at `cursor` of a bare expression, the likeliest first."""
    cursor = max(0, min(cursor, len(source)))
    before = source[:cursor]
    if len(before) > MAX_SOURCE:
        return []
    try:
        tokens = tokenize(before)[:-1]
    except ExpressionError:
        return []
    start, end = cursor, cursor
    if tokens and tokens[-1].kind == "name" and tokens[-1].end == cursor:
        start = tokens.pop().at
        while end < len(source) and (source[end].isalnum() or source[end] == "_") and source[end].isascii():
            end += 1
    elif tokens and tokens[-1].kind == "number" and tokens[-1].end == cursor:
        return []
    typed = source[start:cursor].lower()
    if tokens and tokens[-1].kind == "sign" and tokens[-1].value in (".", "?."):
        found = _after_dot(source, tokens, scope_sample)
    else:
        found = _at_start(tokens, scope_sample)
    fitting = [entry for entry in found if typed in entry[0].lower()]
    fitting.sort(key=lambda entry: not entry[0].lower().startswith(typed))
    return [_suggestion(entry, start, end) for entry in fitting[:limit]]


def suggest_in_template(source: str, cursor: int, scope_sample: Mapping[str, Any], *, limit: int = 60) -> list[Suggestion]:
    """Return what may stand at `cursor` of a text with `{{ … }}`; nothing outside the brackets."""
    cursor = max(0, min(cursor, len(source)))
    opening = source.rfind("{{", 0, cursor)
    if opening < 0 or source.find("}}", opening + 2, cursor) >= 0 or opening + 2 > cursor:
        return []
    shift = opening + 2
    closing = source.find("}}", cursor)
    inner = source[shift : closing if closing >= 0 else len(source)]
    return [
        Suggestion(found.label, found.kind, found.insert, found.detail, found.start + shift, found.end + shift, found.cursor)
        for found in suggest(inner, cursor - shift, scope_sample, limit=limit)
    ]


Entry = tuple[str, SuggestionKind, str]


def _suggestion(entry: Entry, start: int, end: int) -> Suggestion:
    label, kind, detail = entry
    insert = label
    cursor = len(label)
    if kind == "function":
        insert = f"{label}()"
        cursor = len(insert) - (0 if detail.endswith("()") else 1)
    return Suggestion(label, kind, insert, detail, start, end, cursor)


def _at_start(tokens: list[Token], sample: Mapping[str, Any]) -> list[Entry]:
    found: list[Entry] = [(name, "name", "the function's own name") for name in _own_names(tokens)]
    found += [
        (name, "name", _NAME_HELP.get(name, kind_of(value))) for name, value in sample.items() if not name.startswith("$")
    ]
    found += [(function.name, "function", function.signature) for function in _sorted_functions() if not function.deprecated]
    found += [(word, "word", "") for word in ("true", "false", "null", "and", "or", "not", "in")]
    return found


def _sorted_functions() -> list[Function]:
    return sorted(FUNCTIONS.values(), key=lambda function: function.name)


def _own_names(tokens: list[Token]) -> list[str]:
    return [name for _, names in _open_lambdas(tokens) for name in names]


def _after_dot(source: str, tokens: list[Token], sample: Mapping[str, Any]) -> list[Entry]:
    chain_start = _chain_start(tokens, len(tokens) - 1)
    if chain_start is None:
        return []
    text = source[tokens[chain_start].at : tokens[-1].at].strip()
    if text == "nodes":
        return [(name, "node", "what this node gave") for name in _names_of(sample.get("nodes"))]
    value, is_known = _value_of(text, tokens[:chain_start], source, sample)
    if not is_known:
        return [(function.name, "function", _method(function)) for function in _sorted_functions() if function.parameters]
    found: list[Entry] = []
    fields: Mapping[str, Any] = {}
    if isinstance(value, dict):
        fields = value
    elif is_opaque(value):
        fields = as_opaque_fields(value)
    elif isinstance(value, Lazy):
        return [(name, "field", "") for name in value.names()]
    found += [(name, "field", _sample_of(entry)) for name, entry in fields.items() if _is_plain_name(name)]
    groups = _METHOD_GROUPS.get(short_kind_of(value), ())
    more = _MORE_METHODS.get(short_kind_of(value), ())
    methods = [function for function in _sorted_functions() if function.group in groups or function.name in more]
    return found + [(function.name, "function", _method(function)) for function in methods if function.parameters]


def _method(function: Function) -> str:
    """Write a function as a method: without its first value."""
    return f".{function.name}({', '.join(parameter.text for parameter in function.parameters[1:])})"


def _is_plain_name(name: str) -> bool:
    return name.isascii() and name.isidentifier()


def _names_of(value: object) -> list[str]:
    if isinstance(value, Lazy):
        return value.names()
    return [str(name) for name in value] if isinstance(value, Mapping) else []


def _sample_of(value: object) -> str:
    if isinstance(value, str):
        return f"“{value[:40]}{'…' if len(value) > 40 else ''}”"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)[:40]
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return kind_of(value)


def _chain_start(tokens: list[Token], dot: int) -> int | None:
    """Return where the chain of names, calls and brackets before a dot begins."""
    place = dot - 1
    while place >= 0:
        token = tokens[place]
        if token.kind == "sign" and token.value in (")", "]"):
            opening = _opening(tokens, place)
            if opening is None:
                return None
            place = opening
            is_call = token.value == ")" and place > 0 and tokens[place - 1].kind == "name"
            is_index = (
                token.value == "]" and place > 0 and (tokens[place - 1].kind == "name" or tokens[place - 1].value in (")", "]"))
            )
            if is_call or is_index:
                place -= 1
                if tokens[place].kind != "name":
                    continue
        elif token.kind not in ("name", "text"):
            return None
        if place > 0 and tokens[place - 1].kind == "sign" and tokens[place - 1].value in (".", "?."):
            place -= 2
            continue
        return place
    return None


def _opening(tokens: list[Token], closing: int) -> int | None:
    depth = 0
    for place in range(closing, -1, -1):
        if tokens[place].kind == "sign":
            depth += (tokens[place].value in (")", "]", "}")) - (tokens[place].value in ("(", "[", "{"))
            if depth == 0:
                return place
    return None


def _open_lambdas(tokens: list[Token]) -> list[tuple[int, list[str]]]:
    """Return the lambdas whose body is being written: the place of the call's bracket and the names, outermost first."""
    found: list[tuple[int, list[str]]] = []
    stack: list[int] = []
    for place, token in enumerate(tokens):
        if token.kind != "sign":
            continue
        if token.value in ("(", "[", "{"):
            stack.append(place)
        elif token.value in (")", "]", "}") and stack:
            stack.pop()
            found = [entry for entry in found if entry[0] in stack]
        elif token.value == "," and stack:
            found = [entry for entry in found if entry[0] != stack[-1]]
        elif token.value == "=>" and stack:
            names = _names_before(tokens, place)
            if names:
                found.append((stack[-1], names))
    return found


def _names_before(tokens: list[Token], arrow: int) -> list[str]:
    if arrow and tokens[arrow - 1].kind == "name":
        return [str(tokens[arrow - 1].value)]
    opening = _opening(tokens, arrow - 1)
    return [] if opening is None else [str(token.value) for token in tokens[opening:arrow] if token.kind == "name"]


def _value_of(text: str, before: list[Token], source: str, sample: Mapping[str, Any]) -> tuple[Any, bool]:
    """Return the sample value of a part of the expression, and whether it could be found."""
    scope = dict(sample)
    for bracket, names in _open_lambdas(before):
        for name, value in _first_values(before, bracket, names, source, scope):
            scope[name] = value
    try:
        return compile_expression(text).evaluate(scope, _BUDGET), True
    except ExpressionError:
        pass
    base, dot, name = text.rpartition(".")
    if dot and base.strip() == "nodes":
        return _node_sample(sample.get("nodes"), name.strip())
    return None, False


def _node_sample(nodes: Any, name: str) -> tuple[Any, bool]:
    if isinstance(nodes, Mapping):
        return nodes.get(name), name in nodes
    try:
        return (nodes.lookup(name) if isinstance(nodes, Lazy) else type(nodes).get_node(nodes, name)), True
    except (ExpressionError, AttributeError):
        return None, False


def _first_values(
    before: list[Token], bracket: int, names: list[str], source: str, scope: dict[str, Any]
) -> list[tuple[str, Any]]:
    """Return what the names of a lambda stand for: the first value of the list, and its place."""
    if bracket < 1 or before[bracket - 1].kind != "name":
        return []
    function = bracket - 1
    if function > 0 and before[function - 1].value in (".", "?."):
        start = _chain_start(before, function - 1)
        if start is None:
            return []
        text = source[before[start].at : before[function - 1].at]
    else:
        comma = next((place for place in range(bracket + 1, len(before)) if before[place].value == ","), None)
        if comma is None:
            return []
        text = source[before[bracket].end : before[comma].at]
    try:
        values = compile_expression(text.strip()).evaluate(scope, _BUDGET)
    except ExpressionError:
        return []
    if isinstance(values, dict):
        values = list(values.values())
    if not isinstance(values, list) or not values:
        return []
    if before[function].value == "reduce" and len(names) > 1:
        return [(names[1], values[0])]
    return list(zip(names, [values[0], 0], strict=False))
