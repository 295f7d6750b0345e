"""Files of runs, handed to the browser so that nothing in them can act: as attachments, in a sandbox, never sniffed."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from fastapi.responses import FileResponse, PlainTextResponse, Response
from nicegui import app as nicegui_app

from engine.errors import TreadleError
from engine.model.items import File

from .session import current_studio

PATH = "/_treadle/files"
HASH = re.compile(r"[0-9a-f]{32,128}")
SAFE_TYPES = re.compile(
    r"(text/(csv|plain)|application/(json|pdf|zip|octet-stream|vnd\.[a-z0-9.+-]+)|image/(png|jpeg|gif|webp))", re.IGNORECASE
)
HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def install() -> None:
    """Put the route into NiceGUI's own application, behind whatever guards the pages."""
    nicegui_app.add_api_route(PATH + "/{digest}", serve_file, include_in_schema=False)


def address(file: File) -> str:
    """Return where a file of a run is downloaded."""
    return f"{PATH}/{file.hash}?{urlencode({'name': file.name, 'type': file.media_type})}"


async def serve_file(digest: str, name: str = "file", type: str = "") -> Response:
    """Answer with the bytes as an attachment; 404 when nobody kept them (any more)."""
    if not HASH.fullmatch(digest):
        return PlainTextResponse("There is no such file.", 404, headers=HEADERS)
    file = File(hash=digest, name=name, media_type=_media_type(type), size=0)
    try:
        path = current_studio().files.path(file)
        is_there = path.is_file()
    except (TreadleError, OSError, ValueError):
        is_there = False
    if not is_there:
        return PlainTextResponse("The file is no longer kept.", 404, headers=HEADERS)
    return FileResponse(
        path, media_type=file.media_type, filename=_safe_name(name), content_disposition_type="attachment", headers=HEADERS
    )


def _media_type(asked: str) -> str:
    # Types a browser would act on (HTML, SVG, scripts) become plain bytes: what is downloaded keeps its name, not its powers.
    return asked.lower() if SAFE_TYPES.fullmatch(asked) else "application/octet-stream"


def _safe_name(name: str) -> str:
    cleaned = re.sub(r'[\x00-\x1f\x7f"\\/:*?<>|]', "_", name).strip(". ")
    return cleaned[:150] or "file"
