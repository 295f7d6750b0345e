"""
Public pages: the form that starts a run, and the links to steps that wait for somebody.

They need no sign-in: a link is the permission, it cannot be guessed and leads to one step of one run. Looking at a page never
decides anything (mail programs and chat services open links by themselves); only sending its form does.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import assets
from app.web import pages_html as html
from app.web.asgi import (
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
)
from app.web.bodies import read_payload
from app.web.security import is_own_origin
from engine.errors import BadRequest, NotFound, TooLarge, TreadleError
from engine.ids import RunId
from engine.model.items import Batch
from engine.model.waits import Waiting
from engine.run.answers import Answers, NotYet, Over, WrongAnswers
from engine.run.links import PREFIX, Place
from engine.run.worker import Worker
from engine.steps.contract import Files
from engine.steps.form_fields import parse_fields, read_answers
from engine.store import SqlStore
from engine.triggers.form import Forms, FormTrigger

log = logging.getLogger(__name__)

FORMS: Final = "/forms/"
FOLLOW: Final = "follow"
THANKS: Final = "Thank you. You can close this page."
GO_ON: Final = "A workflow waits here. It goes on when you press the button."
PATIENCE_S: Final = 3.0
CSS: Final[tuple[Header, ...]] = ((b"content-type", b"text/css"), (b"cache-control", b"max-age=3600"), NO_SNIFF)
PAGE: Final[tuple[Header, ...]] = (
    (b"content-type", b"text/html; charset=utf-8"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-robots-tag", b"noindex"),
    (b"cross-origin-opener-policy", b"same-origin"),
    NO_SNIFF,
    NO_STORE,
)


class PublicPages:
    """The ASGI application for `/w/…` and `/forms/…`; `limit` is how many bytes a form may have, its files included."""

    def __init__(self, store: SqlStore, worker: Worker, forms: Forms, answers: Answers, files: Files, *, limit: int) -> None:
        self._store, self._worker, self._forms, self._answers = store, worker, forms, answers
        self._files, self._limit = files, limit
        self._style = (Path(assets.__file__).parent / "css" / "public.css").read_bytes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if path == html.STYLE:
            await send_bytes(
                send, 200, self._style, ((b"content-type", b"text/css"), (b"cache-control", b"max-age=3600"), NO_SNIFF)
            )
            return
        if method not in {"GET", "HEAD", "POST"}:
            await _show(send, 405, html.told("Not possible", "This page can be looked at and sent, nothing else."))
            return
        try:
            if path.startswith(FORMS):
                await self._form(path[len(FORMS) :], method, scope, receive, send)
            else:
                await self._link(path[len(PREFIX) :], method, scope, receive, send)
        except TooLarge as error:
            await _show(send, 413, html.told("Too large", error.message))
        except TimeoutError:
            await _show(send, 408, html.told("Too slow", "What you sent stopped in the middle. Please send it again."))
        except NotYet as error:
            await self._tell(scope, send, 409, "Not yet", error)
        except Over as error:
            await self._tell(scope, send, 410, "This is over", error)
        except NotFound as error:
            await self._tell(scope, send, 404, "Nothing here", error)
        except BadRequest as error:
            await self._tell(scope, send, 400, "That did not work", error)

    async def _tell(self, scope: Scope, send: Send, status: int, title: str, error: TreadleError) -> None:
        if _wants_html(scope):
            await _show(send, status, html.told(title, error.message))
        elif isinstance(error, NotYet | Over):
            await send_json(send, status, {"error": error.as_dict()})
        else:
            await send_error(send, error)

    # — the form that starts a run —

    async def _form(self, path: str, method: str, scope: Scope, receive: Receive, send: Send) -> None:
        form = self._forms.find(path)
        if form is None:
            await _show(send, 404, html.told("Nothing here", "There is no form at this address, or it is switched off."))
            return
        if method != "POST":
            await _show(send, 200, _first_page(form, secrets.token_urlsafe(12)))
            return
        given = await self._read(scope, receive)
        if given is None:
            return
        once = str(given.get("_once") or "")[:40] or secrets.token_urlsafe(12)
        answers, wrong = read_answers(form.fields, given)
        if wrong:
            await _show(send, 422, _first_page(form, once, given, wrong))
            return
        run_id = await self._forms.start(form, answers, once)
        if run_id is None or self._worker.env.links is None:
            await _show(send, 200, html.told(form.title, form.thanks or THANKS))
            return
        await self._go_on(send, run_id, form.trigger.node)

    # — links —

    async def _link(self, token: str, method: str, scope: Scope, receive: Receive, send: Send) -> None:
        links = self._worker.env.links
        place = links.read(token) if links is not None else None
        if place is None:
            raise NotFound("page", "here", hint="Is the link complete?")
        if place.purpose == FOLLOW:
            await self._follow(place, send)
            return
        waiting = await self._answers.find(place.run_id, place.node, place.scope)
        if method != "POST":
            await _show(send, 200, _page_of(waiting))
            return
        if waiting.wait.kind != "signal" and not is_own_origin(scope):
            raise BadRequest("This was sent from another page.", hint="Open the link itself and send its own form.")
        if waiting.wait.kind == "signal":
            await self._resume(waiting, scope, receive, send)
            return
        given = await self._read(scope, receive)
        if given is None:
            return
        try:
            if waiting.wait.kind == "approval":
                await self._decide(waiting, given, send)
            elif waiting.wait.kind == "form":
                await self._answers.fill(waiting, given)
                await self._go_on(send, waiting.run_id, waiting.node)
            else:
                raise NotFound("page", "here")
        except WrongAnswers as error:
            await _show(send, 422, _page_of(waiting, given, error.wrong))

    async def _decide(self, waiting: Waiting, given: dict[str, Any], send: Send) -> None:
        decision = str(given.get("_button") or "")
        by, note = str(given.get("_by") or ""), str(given.get("_note") or "")
        await self._answers.decide(waiting, decision, by=by, note=note, answers=given)
        label = waiting.wait.details["buttons"][decision]
        await _show(send, 200, html.told("Thank you", f"Your answer is kept: {label}."))

    async def _resume(self, waiting: Waiting, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive, self._limit, _header(scope, b"content-length"))
        if body is None:
            return
        payload = await read_payload(body, _header(scope, b"content-type").decode("latin-1"), self._files)
        is_page = isinstance(payload, dict) and payload.get("_button") == "go_on"
        await self._answers.resume(waiting, [] if is_page else _items(payload))
        if is_page or _wants_html(scope):
            await _show(send, 200, html.told("Thank you", "The workflow goes on."))
        else:
            await send_json(send, 200, {"run": waiting.run_id, "status": "woken"})

    # — from one form to the next —

    async def _go_on(self, send: Send, run_id: RunId, node: Any) -> None:
        assert self._worker.env.links is not None
        token = self._worker.env.links.token(Place(run_id, node, purpose=FOLLOW))
        await _redirect(send, f"{PREFIX}{token}")

    async def _follow(self, place: Place, send: Send) -> None:
        """Lead whoever sent a form to the next form of that run, or to the thanks; wait a moment for the run to get there."""
        links = self._worker.env.links
        assert links is not None
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        while True:
            await self._worker.wait(place.run_id, timedelta(seconds=max(0.01, until - loop.time())))
            run, waits = await self._store.read(lambda work: (work.runs.get(place.run_id), work.waits.of_run(place.run_id)))
            forms = [one for one in waits if one.wait.kind == "form" and one.waking is None]
            if forms:
                await _redirect(send, f"{PREFIX}{links.token(Place(run.id, forms[0].node, forms[0].scope))}")
                return
            is_at_work = run.status.value in ("queued", "running")
            if not is_at_work or loop.time() >= until:
                break
            await asyncio.sleep(0.02)
        if is_at_work:
            await _show(send, 200, html.told("One moment", "Your answers are kept. The next page comes by itself.", refresh=2))
            return
        document = await self._store.read(lambda work: work.runs.get_document(place.run_id))
        fields = document.nodes[place.node].fields
        await _show(send, 200, html.told(str(fields.get("title") or "Thank you"), str(fields.get("thanks") or THANKS)))

    async def _read(self, scope: Scope, receive: Receive) -> dict[str, Any] | None:
        body = await read_body(receive, self._limit, _header(scope, b"content-length"))
        if body is None:
            return None
        payload = await read_payload(body, _header(scope, b"content-type").decode("latin-1"), self._files)
        if payload is None:
            return {}
        if not isinstance(payload, dict):
            raise BadRequest("A form sends fields.", hint="Use the page itself, or send one JSON object.")
        return payload


def _first_page(form: FormTrigger, once: str, given: Any = None, wrong: Any = None) -> bytes:
    return html.form_page(
        form.title,
        form.text,
        form.fields,
        buttons={"send": form.button},
        hidden={"_once": once},
        given=given,
        wrong=wrong,
    )


def _page_of(waiting: Waiting, given: Any = None, wrong: Any = None) -> bytes:
    wait, details = waiting.wait, waiting.wait.details
    given = given or {}
    fields = parse_fields(details.get("fields"))
    if wait.kind == "approval":
        extra = html.line("_by", "Your name", value=str(given.get("_by") or ""))
        extra += html.line("_note", "Note", long=True, value=str(given.get("_note") or ""))
        return html.form_page(
            str(details.get("title") or "Your decision"),
            str(details.get("text") or ""),
            fields,
            buttons=details["buttons"],
            given=given,
            wrong=wrong,
            extra=extra,
        )
    if wait.kind == "form":
        return html.form_page(
            str(details.get("title") or "A form"),
            str(details.get("text") or ""),
            fields,
            buttons={"send": str(details.get("button") or "Send")},
            given=given,
            wrong=wrong,
        )
    if wait.kind == "signal":
        return html.form_page("Go on?", GO_ON, (), buttons={"go_on": "Go on"})
    raise NotFound("page", "here")


def _items(payload: Any) -> Batch:
    found = [] if payload is None else payload if isinstance(payload, list) else [payload]
    return [item if isinstance(item, dict) else {"body": item} for item in found]


def _header(scope: Scope, wanted: bytes) -> bytes:
    return next((value for name, value in scope["headers"] if name == wanted), b"")


def _wants_html(scope: Scope) -> bool:
    return b"text/html" in _header(scope, b"accept")


async def _show(send: Send, status: int, body: bytes) -> None:
    await send_bytes(send, status, body, PAGE)


async def _redirect(send: Send, where: str) -> None:
    await send_bytes(send, 303, b"", ((b"location", where.encode()), *PAGE))
