"""What goes out: the address with its query, the headers, the body, each checked before anything is sent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from typing import IO, Any, Final

import httpx
import orjson

from engine.errors import BadInput
from engine.steps.contract import File, Files

CHUNK: Final = 256 * 1024
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_USER: Final = re.compile(r"//[^/]*@")


def address_of(url: str, query: Mapping[str, Any] | None) -> httpx.URL:
    """
    Return the address with the query added: names said anew replace those it has, lists repeat, null is left out.

    Raises `BadInput` for what is no web address.
    """
    try:
        target = httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError):
        raise BadInput("url", f"“{_shown(url)}” is no address.") from None
    if target.scheme not in ("http", "https") or not target.host or "%" in target.host:
        raise BadInput("url", f"“{_shown(url)}” is no web address.", hint="It begins with https:// or http://.")
    if target.port is not None and not 0 < target.port < 65536:
        raise BadInput("url", f"“{_shown(url)}” has the port {target.port}, and ports go from 1 to 65535.")
    pairs = [(name, _word(one)) for name, value in (query or {}).items() if value is not None for one in _listed(value)]
    if not pairs:
        return target
    known = {name for name, _ in pairs}
    kept = [(name, value) for name, value in target.params.multi_items() if name not in known]
    return target.copy_with(params=httpx.QueryParams([*kept, *pairs]))


def _shown(url: str) -> str:
    """Return what an error may say of an address that is none: no user, no password, no query."""
    return _USER.sub("//", url.partition("?")[0])[:200]


def headers_of(headers: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the headers by their lower-case names; raises `BadInput` for one that would break the request."""
    found: dict[str, str] = {}
    for name, value in (headers or {}).items():
        if value is None:
            continue
        text = _word(value).strip(" \t")
        if not _NAME.fullmatch(name) or _CONTROL.search(text):
            raise BadInput("headers", f"“{name[:60]}” cannot be sent as a header.", hint="One line, no control characters.")
        if not text.isascii():
            raise BadInput(
                "headers", f"“{name[:60]}” has letters that a header cannot carry.", hint="Write url_encode(…) around them."
            )
        found[str(name).lower()] = text
    return found


def body_of(
    opened: ExitStack,
    headers: dict[str, str],
    json: Any,
    content: str | bytes | None,
    form: Mapping[str, Any] | None,
    multipart: Mapping[str, Any] | None,
    file: File | None,
    files: Files | None,
) -> dict[str, Any]:
    """Return the body as options of the library; what had to be opened for it is closed with `opened`."""
    if file is not None:
        headers.setdefault("content-type", file.media_type)
        headers["content-length"] = str(file.size)
        return {"content": _stream(opened.enter_context(_kept(files).open(file)))}
    if multipart is not None:
        plain = {
            name: [_word(one) for one in _listed(value)] for name, value in multipart.items() if not isinstance(value, File)
        }
        kept = {
            name: (value.name, opened.enter_context(_kept(files).open(value)), value.media_type)
            for name, value in multipart.items()
            if isinstance(value, File)
        }
        return {"data": plain, "files": kept}
    if form is not None:
        return {"data": {name: [_word(one) for one in _listed(value)] for name, value in form.items() if value is not None}}
    if json is not None:
        return {"json": json}
    return {"content": content} if content is not None else {}


def _kept(files: Files | None) -> Files:
    if files is None:
        raise BadInput("body", "There is no place files could come from here.")
    return files


async def _stream(source: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(source.read, CHUNK):
        yield chunk


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        value if isinstance(value, str) else str(value) if not isinstance(value, dict | list) else orjson.dumps(value).decode()
    )


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
