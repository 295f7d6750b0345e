"""
XML as items: elements become fields, attributes `@name`, text beside them `#text`, repeated elements lists.

Entities and outside references are refused (defusedxml), so nothing is fetched and nothing explodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, SubElement, indent, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from engine.errors import BadInput
from engine.model.items import Batch, Item
from engine.steps.formats.cells import cell_text
from engine.steps.formats.json_text import items_in
from engine.steps.formats.source import Source

DEEPEST: Final = 200
_NAME: Final = re.compile(r"[^\W\d][\w.\-]*\Z")
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_xml(source: Source, *, path: str = "", encoding: str = "auto") -> Iterator[Item]:
    """
    Yield the items of an XML text.

    With `path`, the elements it leads to from the root's children on (`orders.order`). Without, the root's children when they
    all have one name, else the root as one item. Raises `BadInput` for what is no XML, declares entities, or is nested deeper
    than 200.
    """
    with source.open() as stream:
        data: str | bytes = stream.read()
    if encoding != "auto":
        data = source.text(encoding)
    try:
        root = fromstring(data)
    except ParseError as error:
        raise BadInput("from", f"This is no XML: {error}.") from None
    except DefusedXmlException:
        raise BadInput("from", "The XML declares entities or refers to other files, which is not read.") from None
    except (ValueError, LookupError) as error:
        raise BadInput("encoding", f"The XML cannot be decoded: {error}.") from None
    if path:
        yield from items_in(_value(root, 0), path)
        return
    children = list(root)
    if children and len({child.tag for child in children}) == 1:
        for child in children:
            value = _value(child, 1)
            yield value if isinstance(value, dict) else {"value": value}
        return
    value = _value(root, 0)
    yield value if isinstance(value, dict) else {"value": value}


def write_xml(items: Batch, *, root: str = "items", row: str = "item") -> bytes:
    """
    Return the items as elements named `row` inside one named `root`; reading it gives the same items back, as texts.

    Null is an empty element, lists repeat theirs. Raises `BadInput` for names that XML does not allow.
    """
    top = Element(_name(root))
    for item in items:
        _fill(SubElement(top, _name(row)), item)
    indent(top)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(top, encoding="unicode").encode() + b"\n"


def _value(element: Element, depth: int) -> Any:
    if depth > DEEPEST:
        raise BadInput("from", f"The XML is nested deeper than {DEEPEST} elements.")
    fields: Item = {f"@{_local(name)}": value for name, value in element.attrib.items()}
    repeated: set[str] = set()
    for child in element:
        name, value = _local(child.tag), _value(child, depth + 1)
        if name not in fields:
            fields[name] = value
        elif name in repeated:
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
            repeated.add(name)
    text = (element.text or "").strip() or " ".join(tail for child in element if (tail := (child.tail or "").strip()))
    if not fields:
        return text or None
    if text:
        fields["#text"] = text
    return fields


def _local(tag: Any) -> str:
    return str(tag).rpartition("}")[2]


def _fill(element: Element, value: Any) -> None:
    if not isinstance(value, dict):
        element.text = _FORBIDDEN.sub("", cell_text(value)) if value is not None else None
        return
    for name, entry in value.items():
        if name == "#text":
            element.text = _FORBIDDEN.sub("", cell_text(entry))
        elif name.startswith("@"):
            element.set(_name(name[1:]), _FORBIDDEN.sub("", cell_text(entry)))
        else:
            for one in entry if isinstance(entry, list) else [entry]:
                _fill(SubElement(element, _name(name)), one)


def _name(name: str) -> str:
    if not _NAME.match(name):
        raise BadInput(
            "from", f"“{name}” cannot be the name of an XML element.", hint="Rename the field: letters, digits, _ . and - only."
        )
    return name
