"""The HTTP connector: any web address, with any method, body and paging."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from connectors.http.paging import Page, Paging, paging_of
from connectors.sdk import (
    ADVANCED,
    Annotated,
    ApiKey,
    BadInput,
    Basic,
    Between,
    Connector,
    Context,
    File,
    Item,
    Label,
    Options,
    Refused,
)

http = Connector("http", "HTTP", icon="public", category="web", auth=[ApiKey(), Basic()])

MEGABYTE = 1_000_000
READS = ("GET", "HEAD", "OPTIONS")
REPEATABLE = (*READS, "PUT", "DELETE")
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def effect_of(fields: Mapping[str, Any]) -> Any:
    """Return what a request does, as far as its method tells: one that is only known at run time may write."""
    method = str(fields.get("method") or "GET").upper()
    return "read" if method in READS else "destroy" if method == "DELETE" else "write"


def is_idempotent(fields: Mapping[str, Any]) -> bool:
    """Return whether the method promises that twice is the same as once (RFC 9110 §9.2.2)."""
    return str(fields.get("method") or "GET").upper() in REPEATABLE


@http.action(
    "HTTP request",
    effect="write",
    effect_for=effect_of,
    idempotent_for=is_idempotent,
    keywords=("api", "rest", "web", "fetch", "call", "get", "post", "url", "download"),
    sample={"status": 200, "headers": {"content-type": "application/json"}, "body": {"ok": True}},
)
async def request(
    ctx: Context,
    url: Annotated[str, Label("Address", "", "https://shop.example/orders")],
    method: Annotated[Method, Label("Method"), Options(tuple((name, name) for name in Method.__args__))] = "GET",
    query: Annotated[
        dict[str, Any] | None, Label("Query", "Names and values; a list is sent several times, null not at all.")
    ] = None,
    headers: Annotated[dict[str, Any] | None, Label("Headers")] = None,
    body: Annotated[Any, Label("Body", "An object or a list is sent as JSON, a text as it is, a file by its bytes.")] = None,
    body_type: Annotated[
        Literal["auto", "json", "form", "multipart", "text"],
        Label("Body as"),
        Options.of(auto="By what it is", json="JSON", form="Form", multipart="Form with files", text="Text"),
    ] = "auto",
    paging: Annotated[
        Any,
        Label("Pages", "A style (link_header, next_url, cursor, page, offset), or an object with style and its settings."),
        ADVANCED,
    ] = None,
    response: Annotated[
        Literal["auto", "json", "text", "file"],
        Label("Answer as"),
        Options.of(auto="By its type", json="JSON", text="Text", file="File"),
        ADVANCED,
    ] = "auto",
    concurrency: Annotated[
        int, Label("At the same time", "How many items are asked for at once."), Between(1, 100), ADVANCED
    ] = 1,
    fail_on_status: Annotated[bool, Label("Statuses from 400 on are failures"), ADVANCED] = True,
    follow_redirects: Annotated[bool, Label("Follow redirects"), ADVANCED] = True,
    idempotency_header: Annotated[
        str,
        Label(
            "Idempotency header",
            "Writes carry a key in this header that stays the same for every try, so that the service can tell a repetition; "
            "empty sends none.",
            "Idempotency-Key",
        ),
        ADVANCED,
    ] = "Idempotency-Key",
    timeout: Annotated[timedelta, Label("Wait at most"), ADVANCED] = timedelta(seconds=60),  # noqa: ASYNC109 - a field of the form
    max_size: Annotated[int, Label("Largest answer", "In megabytes."), Between(1, 2000), ADVANCED] = 200,
) -> list[Item]:
    """
    Calls any web address and returns `{status, headers, body}`; with paging, one item per page.

    JSON answers are read, texts stay texts, binary and big ones become files. Statuses from 400 on fail the step: 429 and 5xx
    are tried again as the node's retry says, waiting as long as `Retry-After` asks. Secrets follow no redirect to another host.
    """
    style = paging_of(paging)
    page = style.first(url) if style else Page(url)
    options: dict[str, Any] = {
        "headers": {**_content_type(body, body_type), **(headers or {})},
        "timeout": timeout,
        "max_bytes": max_size * MEGABYTE,
        "redirects": None if follow_redirects else 0,
        "as_file": {"file": True, "json": False, "text": False}.get(response),
        "fail_on_status": fail_on_status,
        "idempotency_header": idempotency_header,
        "patience": 3 if style else 0,
    }
    found: list[Item] = []
    asked, seen = dict(query or {}), {repr(page)}
    while True:
        sent = body if not page.body else {**(body if isinstance(body, dict) else {}), **page.body}
        answer = await ctx.http.request(
            method, page.url, query={**asked, **page.query}, **body_options(sent, body_type), **options
        )
        found.append({"status": answer.status_code, "headers": dict(answer.headers), "body": body_of(answer, response)})
        following = style.following(page, answer) if style and answer.status_code < 400 else None
        if following is None or style is None:
            return found
        if len(found) >= style.max_pages:
            return _at_limit(found, style)
        if repr(following) in seen:
            raise Refused("The pages go round in circles: the service names one again that was fetched already.")
        seen.add(repr(following))
        if following.url != page.url:
            asked = {}
        page = following


def body_options(body: Any, kind: str) -> dict[str, Any]:
    """Return how a body is sent; raises `BadInput` when it cannot be sent that way."""
    if body is None:
        return {}
    if isinstance(body, File):
        return {"multipart": {"file": body}} if kind == "multipart" else {"file": body}
    if kind in ("form", "multipart"):
        if not isinstance(body, dict):
            raise BadInput("body", "A form is an object: names and values.")
        return {kind: body}
    if kind == "text":
        if isinstance(body, dict | list):
            raise BadInput("body", "The body is no text.", hint="Write json(…) around it, or send it as JSON.")
        return {"content": str(body)}
    return {"content": body} if isinstance(body, str) else {"json": body}


def _content_type(body: Any, kind: str) -> dict[str, str]:
    """Return the type of a body that is a text; all others say theirs by what they are."""
    if not isinstance(body, str) and kind != "text":
        return {}
    return {"content-type": "application/json" if kind == "json" else "text/plain; charset=utf-8"}


def body_of(answer: Any, wanted: str) -> Any:
    """Return the body in the wanted form."""
    if answer.file is not None:
        return answer.file
    if wanted == "json":
        return answer.json() if answer.content else None
    return answer.text if wanted == "text" else answer.data()


def _at_limit(found: list[Item], style: Paging) -> list[Item]:
    if style.at_limit == "stop":
        return found
    raise Refused(
        f"The list goes on after {style.max_pages} pages.",
        hint="Raise max_pages of the paging, or write at_limit: stop to be content with these.",
    )
