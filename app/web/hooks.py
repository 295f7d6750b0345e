"""
`/hooks/…`: webhooks, answered before anything else looks at the request.

A request becomes the item `{method, path, params, query, headers, body}`. The answer goes out when the firing, the run and what
it has done so far are on disk: at once, by a step of the run, or when the run is over.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from app.api.errors import dump
from app.web.asgi import (
    JSON,
    NO_SNIFF,
    NO_STORE,
    Header,
    Receive,
    Scope,
    Send,
    read_body,
    send_bytes,
    send_error,
    send_json,
    send_problem,
)
from app.web.bodies import group, read_json, read_payload
from app.web.sessions import OWN_COOKIES
from engine.errors import BadRequest, Busy, NotAllowed, TreadleError
from engine.ids import RunId
from engine.model.items import File
from engine.model.run import Run, RunStatus
from engine.run.worker import Worker
from engine.steps.contract import Files, Response
from engine.triggers.webhook import Hook, OtherMethods, Webhooks, failure_of, safe_headers

log = logging.getLogger(__name__)

PREFIX: Final = "/hooks/"
SANDBOX: Final[Header] = (b"content-security-policy", b"sandbox; frame-ancestors 'none'")
"""What a workflow answers is never a page of ours: scripts in it do not run with our origin."""

NEVER: Final = frozenset(
    {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "date", "server"}
    | {"clear-site-data", "service-worker-allowed"}  # these two would reach the studio's own pages
)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CHUNK: Final = 256 * 1024

FinishedRun = Callable[[RunId], Awaitable[dict[str, Any]]]


class Hooks:
    """
    The ASGI application for webhooks.

    `worker` tells what became of a run, `finished` reads a finished run with its outputs, `wait` is how many seconds a caller
    waits for an answer, `limit` how many bytes a body may have.
    """

    def __init__(
        self, webhooks: Webhooks, worker: Worker, files: Files, finished: FinishedRun, *, limit: int, wait: float
    ) -> None:
        self._webhooks, self._worker, self._files, self._finished = webhooks, worker, files, finished
        self._limit, self._wait, self._patience = limit, wait, timedelta(seconds=wait)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._serve(scope, receive, send)
        except TreadleError as error:
            if isinstance(error, Busy):
                again = (b"retry-after", str(error.where["retry_after"]).encode())
                await send_json(send, 503, {"error": error.as_dict()}, (again,))
            elif isinstance(error, NotAllowed):
                log.warning("webhook refused", extra={"path": scope["path"], "reason": error.message})
                await send_json(send, 401, {"error": {**error.as_dict(), "code": "not_signed"}})
            else:
                await send_error(send, error)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        path: str = scope["path"][len(PREFIX) :]
        hook = self._webhooks.find(method, path)
        if hook is None and method == "HEAD":
            hook = self._webhooks.find("GET", path)
        if hook is None:
            await send_problem(
                send,
                404,
                code="no_webhook",
                message=f"No active workflow answers /hooks/{path[:200]}.",
                hint="Is the workflow switched on? The path stands in its webhook trigger.",
            )
            return
        if isinstance(hook, OtherMethods):
            allow = (b"allow", ", ".join(hook.allowed).encode())
            message = f"/hooks/{path[:200]} does not answer {method}."
            await send_problem(send, 405, (allow,), message=message, hint=f"It answers {', '.join(hook.allowed)}.")
            return
        self._webhooks.check_room()
        headers = safe_headers(scope["headers"])
        try:
            body = await read_body(receive, self._limit, headers.get("content-length", "").encode())
        except TimeoutError:
            await send_problem(send, 408, code="timed_out", message="The body stopped in the middle.", hint="Send it again.")
            return
        if body is None:
            return  # the caller went away before the request was complete
        key = self._key(hook, scope, headers, body)
        item = {
            "method": method,
            "path": "/" + path,
            "params": dict(hook.params),
            "query": read_query(scope["query_string"]) if scope["query_string"] else {},
            "headers": headers,
            "body": await self._payload(body, headers.get("content-type", "")),
        }
        started = await self._webhooks.start(hook, item, key)
        if hook.answer == "at_once" or started.run_id is None:
            await self._webhooks.committed()
            told = {"run": started.run_id, "status": "accepted" if started.run_id else "held"}
            await send_json(send, 202, told if started.is_new else {**told, "duplicate": True})
        elif hook.answer == "by_step":
            await self._answer_by_step(started.run_id, send)
        else:
            await self._answer_when_done(started.run_id, send)

    def _key(self, hook: Hook, scope: Scope, headers: dict[str, str], body: bytes) -> str | None:
        if hook.sign is not None:
            raw = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            if message_id := self._webhooks.verify(hook, raw, body):
                return f"id:{message_id}"
        if key := headers.get("idempotency-key"):
            if len(key) > 255:
                raise BadRequest("The header Idempotency-Key is longer than 255 characters.")
            return f"key:{key}"
        return None

    async def _payload(self, body: bytes, content_type: str) -> Any:
        if content_type == "application/json" and body:
            return read_json(body)
        return await read_payload(body, content_type, self._files)

    async def _answer_by_step(self, run_id: RunId, send: Send) -> None:
        try:
            response = await self._worker.response(run_id, self._patience)
        except TimeoutError:
            await self._too_late(run_id, send)
            return
        if response is not None:
            await send_response(send, response, self._files)
            return
        run = await self._over(run_id, send)
        if run is not None and run.status is RunStatus.SUCCEEDED:
            await send_json(send, 200, {"run": run.id, "status": run.status})
        elif run is not None:
            await send_json(send, 500, {"error": failure_of(run)})

    async def _answer_when_done(self, run_id: RunId, send: Send) -> None:
        run = await self._over(run_id, send)
        if run is None:
            return
        if run.status is not RunStatus.SUCCEEDED:
            await send_json(send, 500, {"error": failure_of(run)})
            return
        finished = await self._finished(run_id)
        await send_json(send, 200, finished["outputs"], (SANDBOX,))

    async def _over(self, run_id: RunId, send: Send) -> Run | None:
        run = await self._worker.outcome(run_id, self._patience)
        if run.status.is_final:
            return run
        await self._too_late(run_id, send)
        return None

    async def _too_late(self, run_id: RunId, send: Send) -> None:
        await send_problem(
            send,
            504,
            code="no_answer_yet",
            message=f"The run goes on, but gave no answer within {self._wait:g} s.",
            hint="Ask for it later, or let the webhook answer at once.",
            where={"run": run_id},
        )


def read_query(query: bytes) -> dict[str, Any]:
    """Return the query as an object; a name that comes several times has a list. Raises `BadRequest`."""
    try:
        return group(parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=1000, errors="strict"))
    except (UnicodeDecodeError, ValueError) as error:
        raise BadRequest("The query of the address cannot be read.", hint="UTF-8, percent-encoded.") from error


async def send_response(send: Send, response: Response, files: Files) -> None:
    """Send what `flow.respond` said: JSON, text, bytes, or a file in pieces."""
    status = response.status if 200 <= response.status <= 599 else 200
    given = {name.lower(): value for name, value in response.headers.items()}
    headers: list[Header] = [
        (name.encode(), str(value).encode("latin-1", "replace"))
        for name, value in given.items()
        if name not in NEVER and _TOKEN.fullmatch(name) and not _CONTROL.search(str(value)) and not _is_ours(name, str(value))
    ]
    headers += [SANDBOX, NO_SNIFF]
    if "cache-control" not in given:
        headers.append(NO_STORE)
    body = response.body
    if status in {204, 304}:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    if isinstance(body, File):
        await _send_file(send, status, body, headers, files, given)
        return
    kind: Header | None
    match body:
        case None:
            data, kind = b"", None
        case bytes():
            data, kind = body, (b"content-type", b"application/octet-stream")
        case str():
            data, kind = body.encode("utf-8", "replace"), (b"content-type", b"text/plain; charset=utf-8")
        case _:
            data, kind = dump(body), JSON
    if kind is not None and "content-type" not in given:
        headers.append(kind)
    await send_bytes(send, status, data, headers)


def _is_ours(name: str, value: str) -> bool:
    """Whether a header would set a cookie of the studio, which browsers do not tell from a hook of the same machine."""
    return name == "set-cookie" and value.strip().lower().startswith(OWN_COOKIES)


async def _send_file(send: Send, status: int, file: File, headers: list[Header], files: Files, given: dict[str, Any]) -> None:
    source = await asyncio.to_thread(files.open, file)
    try:
        if "content-type" not in given:
            headers.append((b"content-type", file.media_type.encode("latin-1", "replace")))
        if "content-disposition" not in given:
            headers.append((b"content-disposition", f"attachment; filename*=UTF-8''{quote(file.name)}".encode()))
        headers.append((b"content-length", str(file.size).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        while chunk := await asyncio.to_thread(source.read, _CHUNK):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        source.close()
