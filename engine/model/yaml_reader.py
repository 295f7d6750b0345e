"""
YAML as a stream of events, put together by our own hands.

libyaml (through PyYAML) splits the text; ruamel.yaml does where libyaml is missing, twenty times slower. Neither decides what a
value is: anchors, aliases, tags, merge keys and second documents are refused, bare words mean what YAML 1.2 says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

from engine.model.scalars import resolve
from engine.model.tree import Position, Stop, Tree, TreeBuilder

try:
    from yaml.cyaml import CParser as _CParser  # type: ignore[import-untyped, unused-ignore]
except ImportError:  # a PyYAML that was built without libyaml
    _CParser = None

Kind = Literal["document", "map", "list", "scalar", "alias", "end"]
Event = tuple[Kind, Any]

_KINDS: Final[dict[str, Kind]] = {
    "DocumentStartEvent": "document",
    "MappingStartEvent": "map",
    "SequenceStartEvent": "list",
    "ScalarEvent": "scalar",
    "AliasEvent": "alias",
    "MappingEndEvent": "end",
    "SequenceEndEvent": "end",
}


def read_yaml(text: str, *, events: Callable[[str], Iterator[Event]] | None = None) -> Tree:
    """
    Return the tree of a YAML text with every problem of its form; `is_complete` tells whether it was read to the end.

    `events` chooses the splitter, for tests.
    """
    builder = TreeBuilder()
    split = events or (split_fast if _CParser is not None else split_slow)
    try:
        _compose(split(text), builder)
        builder.tree.is_complete = True
    except Stop:
        pass
    except RecursionError:
        builder.stop("too_deep", "The document is nested too deep.", (1, 1))
    except Exception as error:  # the two splitters have no common base class; a foreign one is a bug and goes on
        if not hasattr(error, "problem") and not hasattr(error, "reason"):
            raise
        text_, position, hint = _explain(error)
        builder.stop("syntax", text_, position, hint=hint)
    return builder.tree


def split_fast(text: str) -> Iterator[Event]:
    """Split with libyaml."""
    parser = _CParser(text)
    kinds = _KINDS
    try:
        while parser.check_event():
            event = parser.get_event()
            if kind := kinds.get(type(event).__name__):
                yield kind, event
    finally:
        parser.dispose()


def split_slow(text: str) -> Iterator[Event]:
    """Split with ruamel.yaml in plain Python."""
    from ruamel.yaml import YAML

    for event in YAML(typ="safe", pure=True).parse(text):
        if kind := _KINDS.get(type(event).__name__):
            yield kind, event


def _compose(events: Iterator[Event], builder: TreeBuilder) -> None:
    documents = 0
    # What a mapping or list used as a key holds is of no use to anybody; `skip` counts how deep we are in one.
    skip = 0
    for kind, event in events:
        mark = event.start_mark
        position = (mark.line + 1, mark.column + 1)
        if kind == "document":
            documents += 1
            if documents > 1:
                raise builder.stop("syntax", "A second document begins here.", position, hint="One file holds one workflow.")
            continue
        if skip:
            skip += (kind in ("map", "list")) - (kind == "end")
            if skip > 64:
                raise builder.stop("too_deep", "A key is nested too deep.", position)
            continue
        if kind == "end":
            builder.close()
            continue
        if kind == "alias":
            _refuse_alias(builder, position)
            continue
        if event.anchor is not None or event.tag is not None:
            _refuse_properties(event, builder, position)
        if kind == "scalar":
            _scalar(event, builder, position)
        elif builder.wants_key:
            builder.problem("syntax", "A key is a text; here it is a mapping or a list.", position, hint=_BRACES)
            builder.key("?", position)
            builder.tree.problems[-1:] = [p for p in builder.tree.problems[-1:] if p.code != "duplicate_key"]
            skip = 1
        else:
            builder.open({} if kind == "map" else [], position)


_BRACES: Final = "A text that begins with {{ needs quotes around it."


def _scalar(event: Any, builder: TreeBuilder, position: Position) -> None:
    text: str = event.value
    is_plain = not event.style
    if builder.wants_key:
        if is_plain and text == "<<":
            builder.problem("anchor", "Merge keys (<<) are not part of the format.", position, hint="Write the keys out.")
        builder.key(text, position)
    else:
        builder.scalar(resolve(text, position, builder) if is_plain else text, position)


def _refuse_alias(builder: TreeBuilder, position: Position) -> None:
    builder.problem(
        "anchor",
        "Aliases (*name) are not part of the format.",
        position,
        hint="Write the value out, or quote it if it is a text.",
    )
    if builder.wants_key:
        builder.key("*", position)
    else:
        builder.scalar(None, position)


def _refuse_properties(event: Any, builder: TreeBuilder, position: Position) -> None:
    if event.anchor is not None:
        builder.problem("anchor", f"Anchors (&{event.anchor}) are not part of the format.", position, hint="Remove the anchor.")
    if event.tag is not None:
        tag = str(event.tag)[:80]
        builder.problem("tag", f"Tags ({tag}) are not part of the format.", position, hint="Remove the tag, or quote the text.")


_SENTENCES: Final[tuple[tuple[str, str, str | None], ...]] = (
    (
        "mapping values are not allowed",
        "A “:” stands where no key can stand.",
        "Put the text in quotes, or mend the indentation.",
    ),
    ("cannot start any token", "A bare text cannot begin like this.", "Put the text in quotes; indent with spaces, not tabs."),
    ("'\\t'", "A tab stands where spaces are expected.", "Indent with spaces."),
    ("tab character", "A tab stands where spaces are expected.", "Indent with spaces."),
    ("expected ',' or ']'", "A list in brackets is not closed, or a comma is missing.", None),
    ("expected ',' or '}'", "A mapping in braces is not closed, or a comma is missing.", _BRACES),
    ("expected ':'", "A key has no “:” after it.", None),
    ("did not find expected key", "The indentation does not fit the lines above.", "Keys of one mapping stand in one column."),
    ("expected <block end>", "The indentation does not fit the lines above.", "Keys of one mapping stand in one column."),
    ("end of stream", "The text ends in the middle of a quoted text.", "Close the quotes."),
    ("invalid Unicode character escape", "This escape is no character.", "Write characters beyond U+FFFF as \\U0001F600."),
    ("unknown escape", "There is no such escape in a text in double quotes.", "A backslash is written \\\\."),
    ("block entries are not allowed", "A “-” stands where no list can stand.", "Put the list on a line of its own."),
)


def _explain(error: Exception) -> tuple[str, Position, str | None]:
    raw = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    for part, sentence, hint in _SENTENCES:
        if part in raw:
            return sentence, position, hint
    return f"This is not YAML: {raw}.", position, None
