"""The API as one application: routes, problems, OpenAPI."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from app.api import catalog, disk, failures, runs, schedules, sql, versions, waits, workflows
from app.api.door import NotSignedIn, bounded
from app.api.errors import dump, problem, problem_of, status_of
from engine.errors import TreadleError
from engine.service import Studio

log = logging.getLogger(__name__)

DESCRIPTION = """Workflows, runs and the catalog of this Treadle.

Every call needs a token: `Authorization: Bearer trdl_…`, made with `treadle token create NAME`. The scope `read` looks, `run`
starts, cancels and retries runs, `write` changes workflows. Whatever fails answers
`{"error": {"code", "message", "hint", "where"}}`.
"""


def build_api(studio: Studio, *, version: str = "1") -> FastAPI:
    """
    Return the application for `/api/v1`, mounted by the dispatcher.

    `studio` is Treadle's own; each call acts through `studio.acting_as` its token's owner.
    """
    api = FastAPI(
        title="Treadle",
        version=version,
        description=DESCRIPTION,
        docs_url=None,  # the pages of Swagger UI and ReDoc would load scripts from other sites
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    api.state.studio = studio
    routers = (workflows, runs, failures, schedules, disk, sql, waits, versions, catalog)
    for router in (part.router for part in routers):
        api.include_router(router)
    api.add_middleware(bounded)
    api.add_exception_handler(TreadleError, _on_treadle_error)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    api.add_exception_handler(HTTPException, _on_http)
    api.add_exception_handler(Exception, _on_bug)
    return api


async def _on_treadle_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, TreadleError)
    if isinstance(error, NotSignedIn):
        return _problem(401, problem_of(error), {"www-authenticate": "Bearer"})
    status = status_of(error)
    if status >= 500:
        log.error("the API could not answer", extra={"code": error.code, "error": error.message})
    return _problem(status, problem_of(error))


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [{"field": _place(one["loc"]), "message": str(one["msg"])} for one in error.errors()]
    is_json = any(one["type"] == "json_invalid" for one in error.errors())
    if is_json:
        return _problem(400, problem(400, message="The body is not JSON.", where={"problems": found}))
    first = found[0]
    message = f"“{first['field']}”: {first['message']}." if first["field"] else f"{first['message']}."
    return _problem(422, problem(422, message=message, where={"problems": found}))


async def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, problem(error.status_code), error.headers)


async def _on_bug(request: Request, error: Exception) -> Response:
    log.error("the API broke", exc_info=error, extra={"path": request.url.path})
    return _problem(500, problem(500))


def _problem(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dump(body), status, {"cache-control": "no-store", **(headers or {})}, "application/json")


def _place(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location if part not in {"body", "query", "path", "header"})
