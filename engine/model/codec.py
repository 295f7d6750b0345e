"""
The workflow document as text, read and written.

Whatever is read comes back the same; the canonical text comes back byte for byte. Reading lists every problem at once, each
with its place; limits on size, depth and count hold before anything is built.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.errors import InvalidDocument
from engine.ids import NodeId, VersionId
from engine.model.decode import decode, locate
from engine.model.encode import check_plain, document_data, fragment_data
from engine.model.json_reader import read_json
from engine.model.problems import Problem
from engine.model.tree import MAX_BYTES, Path, Position, Tree, problem_at
from engine.model.workflow import Document, Edge, Node
from engine.model.write import write_yaml
from engine.model.yaml_reader import read_yaml

_UNREADABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_JSON_BEGINS: Final = re.compile(r'\s*(?:\{\s*(?:"|\}|$)|\[)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """
    What a text turned out to say: the document as far as it can be told, what is wrong with it, and where everything stands.

    `document` is None when the text has no form at all; otherwise it is whole if no problem is an error.
    """

    document: Document | None
    problems: tuple[Problem, ...] = ()
    positions: Mapping[Path, Position] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that are no mere warnings."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def locate(self, path: Path) -> Position | None:
        """Return line and column of a path, or of the nearest thing around it."""
        return locate(self.positions, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """Some nodes, the edges among them and their places: what is copied and pasted."""

    nodes: Mapping[NodeId, Node]
    edges: tuple[Edge, ...] = ()
    layout: Mapping[NodeId, tuple[int, int]] = field(default_factory=dict)


def parse_document(text: str | bytes) -> Parsed:
    """Read a document from YAML or JSON; never raises for what the text holds."""
    return _parse(text, is_fragment=False)


def read_document(text: str | bytes) -> Document:
    """Read a document from YAML or JSON; raises `InvalidDocument` with all problems when there is an error among them."""
    return _whole(parse_document(text))


def write_document(document: Document) -> str:
    """
    Return the canonical text.

    Raises `InvalidDocument` when it holds what no text can say (NaN, foreign objects, impossible ids) or is too large.
    """
    return _written(document_data(document))


def document_as_data(document: Document) -> dict[str, Any]:
    """Return the document as plain JSON values, keys in canonical order."""
    return document_data(document)


def document_from_data(data: object) -> Document:
    """Build a document from plain JSON values, as an API body brings them; raises `InvalidDocument`."""
    tree = Tree(value=data, problems=check_plain(data), is_complete=True)
    document = decode(tree) if not tree.problems else None
    return _whole(Parsed(document=document, problems=_sorted(tree.problems)))


def document_hash(document: Document) -> VersionId:
    """Return the SHA-256 of the canonical text without the layout: moving a box makes no new version."""
    text = write_yaml(document_data(document, with_layout=False))
    return VersionId(hashlib.sha256(text.encode()).hexdigest())


def write_fragment(
    nodes: Iterable[Node], edges: Iterable[Edge] = (), layout: Mapping[NodeId, tuple[int, int]] | None = None
) -> str:
    """Return nodes, the edges among them and their places as document text without a name, for the clipboard."""
    return _written(fragment_data(nodes, edges, layout or {}))


def read_fragment(text: str | bytes) -> Fragment:
    """Read what was copied: a fragment or a whole document; raises `InvalidDocument`."""
    document = _whole(_parse(text, is_fragment=True))
    edges = tuple(edge for edge in document.edges if edge.source in document.nodes and edge.target in document.nodes)
    return Fragment(nodes=document.nodes, edges=edges, layout=document.layout)


def _parse(text: str | bytes, *, is_fragment: bool) -> Parsed:
    tree = _read(text)
    document = decode(tree, is_fragment=is_fragment) if tree.is_complete else None
    return Parsed(document=document, problems=_sorted(tree.problems), positions=tree.positions)


def _read(text: str | bytes) -> Tree:
    if _size(text) > MAX_BYTES:
        return _refused("too_large", f"The document is larger than {MAX_BYTES // 1024**2} MB.")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode("utf-8")
            return _refused("character", "The document is not UTF-8.", _position(before, len(before)), "Save it as UTF-8.")
    text = text.removeprefix("\ufeff")
    if found := _UNREADABLE.search(text):
        sentence = f"The character U+{ord(found[0]):04X} cannot stand in a document."
        return _refused(
            "character", sentence, _position(text, found.start()), "Remove it, or write it as an escape in double quotes."
        )
    if _JSON_BEGINS.match(text):
        return read_json(text)
    return read_yaml(text)


def _size(text: str | bytes) -> int:
    if isinstance(text, bytes) or text.isascii() or len(text) > MAX_BYTES:
        return len(text)
    return len(text.encode("utf-8", "replace"))


def _refused(code: str, text: str, position: Position | None = None, hint: str | None = None) -> Tree:
    return Tree(problems=[problem_at(code, text, (), position, hint=hint)])


def _position(text: str, offset: int) -> Position:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _whole(parsed: Parsed) -> Document:
    if parsed.errors or parsed.document is None:
        raise InvalidDocument(parsed.problems)
    return parsed.document


def _written(data: dict[str, Any]) -> str:
    text = write_yaml(data)
    if len(text) > MAX_BYTES // 4 and len(text.encode()) > MAX_BYTES:
        raise InvalidDocument([problem_at("too_large", f"The document is larger than {MAX_BYTES // 1024**2} MB.")])
    return text


def _sorted(problems: list[Problem]) -> tuple[Problem, ...]:
    """In the order of the text; what has no place stands first, and that there are more stands last."""
    return tuple(sorted(problems, key=lambda found: (found.code == "too_many", found.line or 0, found.column or 0)))
