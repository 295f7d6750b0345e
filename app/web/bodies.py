"""The body of a webhook, read by its type: JSON, forms, uploads, text, and anything else as a file."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message as MimeMessage
from typing import Any
from urllib.parse import parse_qsl

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from engine.errors import BadRequest
from engine.steps.contract import Files
from engine.steps.formats.source import encoding_named

MOST_FIELDS = 1000
OCTETS = "application/octet-stream"


async def read_payload(body: bytes, content_type: str, files: Files) -> Any:
    """
    Return what the body says, as JSON values and file handles; None when there is no body.

    Files of a form, and bodies of a type that is not text, go to the content-addressed store. Raises `BadRequest` for a body
    that is not what its type says.
    """
    if not body:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return read_json(body)
    if kind == "application/x-www-form-urlencoded":
        return read_form(body)
    if kind == "multipart/form-data":
        return await read_multipart(body, content_type, files)
    if kind.startswith("text/") or kind in {"application/xml", "application/yaml"} or kind.endswith("+xml"):
        return _decode(body, _charset(content_type))
    if not kind:
        return _guess(body) if _is_text(body) else await files.keep(body, name="body", media_type=OCTETS)
    return await files.keep(body, name="body", media_type=kind)


def read_json(body: bytes) -> Any:
    """Return the value of strict JSON; raises `BadRequest` that says where it breaks."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).",
            hint="Send valid JSON, or the content type that the body really has.",
            where={"line": error.lineno, "column": error.colno},
        ) from error


def read_form(body: bytes) -> dict[str, Any]:
    """Return the fields of a form; one that comes several times is a list."""
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except (UnicodeDecodeError, ValueError) as error:
        raise BadRequest("The form cannot be read.", hint=f"UTF-8, at most {MOST_FIELDS} fields.") from error
    return group(pairs)


def group(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return pairs as an object; a name that comes several times has a list."""
    found: dict[str, Any] = {}
    several: set[str] = set()
    for name, value in pairs:
        if name not in found:
            found[name] = value
        elif name in several:
            found[name].append(value)
        else:
            found[name] = [found[name], value]
            several.add(name)
    return found


async def read_multipart(body: bytes, content_type: str, files: Files) -> dict[str, Any]:
    """
    Return the fields of a form with files; a file becomes a handle that keeps the last part of its name.

    Raises `BadRequest` when the parts cannot be told apart.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 200:
        raise BadRequest("The form has no boundary between its parts.", hint="The client has to set it in Content-Type.")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise BadRequest(f"The form cannot be read: {error}.") from error
    if not parts.is_over:
        raise BadRequest("The form breaks off in the middle.")
    pairs: list[tuple[str, Any]] = []
    for headers, data in parts.found:
        _, told = parse_options_header(headers.get("content-disposition", ""))
        name = told.get(b"name", b"").decode("utf-8", "replace")
        if not name:
            continue
        if b"filename" in told:
            file_name = told[b"filename"].decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2] or "file"
            media_type = headers.get("content-type", OCTETS).partition(";")[0].strip().lower() or OCTETS
            pairs.append((name, await files.keep(data, name=file_name[:200], media_type=media_type)))
        else:
            pairs.append((name, _decode(data, _charset(headers.get("content-type", "")))))
    return group(pairs)


class _Parts:
    """Collects the parts that the parser finds."""

    def __init__(self) -> None:
        self.found: list[tuple[Mapping[str, str], bytes]] = []
        self.is_over = False
        self._headers: dict[str, str] = {}
        self._name = self._value = b""
        self._data = bytearray()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_part_data": self._on_data,
            "on_part_end": self._end,
            "on_end": self._over,
        }

    def _begin(self) -> None:
        if len(self.found) >= MOST_FIELDS:
            raise BadRequest(f"The form has more than {MOST_FIELDS} parts.")
        self._headers, self._data = {}, bytearray()

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name = self._value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def _end(self) -> None:
        self.found.append((self._headers, bytes(self._data)))

    def _over(self) -> None:
        self.is_over = True


def _charset(content_type: str) -> str:
    message = MimeMessage()
    message["content-type"] = content_type or "text/plain"
    return str(message.get_param("charset") or "utf-8")


def _decode(body: bytes, charset: str) -> str:
    known = encoding_named(charset)
    if known is None:
        raise BadRequest(f"There is no encoding “{charset[:100]}”.", hint="Name one such as utf-8: text/plain; charset=utf-8")
    try:
        return body.decode(known)
    except UnicodeError as error:
        raise BadRequest(f"The text is not {known}.", hint="Name its encoding: text/plain; charset=…") from error


def _is_text(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in body


def _guess(body: bytes) -> Any:
    if body.lstrip()[:1] in (b"{", b"["):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    return body.decode("utf-8")
