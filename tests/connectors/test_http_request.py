"""`http.request` as a workflow uses it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.http.connector import effect_of, is_idempotent
from connectors.http.paging import STYLES, paging_of
from engine.errors import BadInput, RateLimited, Refused, SignInAgain

from .conftest import Reply

pytestmark = pytest.mark.anyio


async def test_the_answer_is_an_item(server, call):
    """
    Status, headers, body; the address is rendered for the item.
    """
    server.routes["/orders/7"] = Reply({"id": 7})
    (item,) = await call("http.request", {"url": server.url("/orders/{{ item.id }}")}, {"id": 7})
    assert (200, "application/json", {"id": 7}) == (item["status"], item["headers"]["content-type"], item["body"])


@pytest.mark.parametrize(
    ("body", "body_type", "content_type", "sent"),
    [
        ({"a": 1}, "auto", "application/json", b'{"a":1}'),
        ([1], "auto", "application/json", b"[1]"),
        ("text", "auto", "text/plain; charset=utf-8", b"text"),
        ('{"a": 1}', "json", "application/json", b'{"a": 1}'),
        ({"a": 1, "b": ["x", "y"]}, "form", "application/x-www-form-urlencoded", b"a=1&b=x&b=y"),
        (5, "text", "text/plain; charset=utf-8", b"5"),
        ("{{ item.o }}", "auto", "application/json", b'{"deep":[true]}'),
    ],
)
async def test_bodies(server, call, body, body_type, content_type, sent):
    """
    An object goes as JSON, a text as it is, a form as a form.
    """
    server.routes["/a"] = Reply({})
    fields = {"url": server.url("/a"), "method": "POST", "body": body, "body_type": body_type}
    await call("http.request", fields, {"o": {"deep": [True]}})
    assert (content_type, sent) == (server.asked[0].headers["content-type"], server.asked[0].body)


async def test_files_go_out_and_come_in(server, call, ctx):
    """
    By their bytes, alone or in a form; a binary answer is a file.
    """
    server.routes["/a"] = Reply(b"\x89PNG", headers={"content-type": "image/png"})
    file = await ctx.files.keep(b"pdf", name="r.pdf", media_type="application/pdf")
    for fields in ({}, {"body_type": "multipart"}, {"body_type": "multipart", "body": {"doc": "{{ item.file }}", "n": 1}}):
        (item,) = await call(
            "http.request", {"url": server.url("/a"), "method": "PUT", "body": "{{ item.file }}", **fields}, {"file": file}
        )
    raw, form, named = server.asked
    assert (b"pdf", "application/pdf") == (raw.body, raw.headers["content-type"])
    assert b'name="file"; filename="r.pdf"' in form.body
    assert b'name="doc"; filename="r.pdf"' in named.body
    assert ("image/png", 4) == (item["body"].media_type, item["body"].size)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"body": "x", "body_type": "form"}, "A form is an object"),
        ({"body": {"a": 1}, "body_type": "text"}, "The body is no text"),
        ({"method": "FETCH"}, "wants GET"),
        ({"timeout": "soon"}, "wants a duration"),
        ({"concurrency": 0}, "at least 1"),
        ({"paging": "pages"}, "no paging style “pages”"),
    ],
)
async def test_fields_that_make_no_sense(server, call, fields, expected):
    """
    Nothing is sent.
    """
    with pytest.raises(BadInput, match=expected):
        await call("http.request", {"url": server.url("/a"), "method": "POST", **fields})
    assert [] == server.asked


@pytest.mark.parametrize(("wanted", "expected"), [("auto", {"a": 1}), ("json", {"a": 1}), ("text", '{"a": 1}')])
async def test_the_answer_in_the_wanted_form(server, call, wanted, expected):
    """
    Read, or as it came.
    """
    server.routes["/a"] = Reply({"a": 1})
    assert expected == (await call("http.request", {"url": server.url("/a"), "response": wanted}))[0]["body"]


async def test_an_answer_can_be_kept_as_a_file(server, call):
    """
    Whatever it is; and an empty one is nothing.
    """
    server.routes["/a.json"] = Reply({"a": 1})
    server.routes["/none"] = Reply(status=204)
    assert "a.json" == (await call("http.request", {"url": server.url("/a.json"), "response": "file"}))[0]["body"].name
    assert None is (await call("http.request", {"url": server.url("/none"), "response": "json"}))[0]["body"]


async def test_failures_can_be_looked_at(server, call):
    """
    A status is an error, unless the workflow wants to see it.
    """
    server.routes["/a"] = Reply({"why": "x"}, status=404)
    with pytest.raises(Refused, match="404"):
        await call("http.request", {"url": server.url("/a")})
    (item,) = await call("http.request", {"url": server.url("/a"), "fail_on_status": False})
    assert (404, {"why": "x"}) == (item["status"], item["body"])


async def test_redirects_can_be_looked_at(server, call):
    """
    The address a link hides.
    """
    server.routes["/a"] = Reply(status=301, headers={"location": "/b"})
    (item,) = await call("http.request", {"url": server.url("/a"), "follow_redirects": False})
    assert (301, "/b") == (item["status"], item["headers"]["location"])


async def test_a_429_says_how_long_to_wait(server, call):
    """
    The node's retry takes it from there.
    """
    server.routes["/a"] = Reply(status=429, headers={"retry-after": "12"})
    with pytest.raises(RateLimited) as caught:
        await call("http.request", {"url": server.url("/a")})
    assert timedelta(seconds=12) == caught.value.retry_after


async def test_writes_carry_the_key_of_the_step(server, call):
    """
    Stable over retries, so a service that knows it does things once.
    """
    server.routes["/a"] = Reply({})
    await call("http.request", {"url": server.url("/a"), "method": "POST"})
    assert "run_1/node/0" == server.asked[0].headers["idempotency-key"]


def test_the_method_tells_the_effect():
    """
    Reads are free to repeat, a method known only at run time may write.
    """
    found = {
        method: (effect_of({"method": method}), is_idempotent({"method": method}))
        for method in ("GET", "POST", "PUT", "DELETE", "{{ m }}")
    }
    assert {
        "GET": ("read", True), "POST": ("write", False), "PUT": ("write", True),
        "DELETE": ("destroy", True), "{{ m }}": ("write", False),
    } == found  # fmt: skip
    assert ("read", True) == (effect_of({}), is_idempotent({}))


@pytest.mark.parametrize(
    ("connection", "header", "expected"),
    [
        ({"kind": "api_key", "key": "k"}, "authorization", "Bearer k"),
        ({"kind": "basic", "user": "ada", "password": "pw"}, "authorization", "Basic YWRhOnB3"),
    ],
)
async def test_signing_in(server, call, ctx, connection, header, expected):
    """
    The connection's kind decides how.
    """
    server.routes["/a"] = Reply({})
    await call("http.request", {"url": server.url("/a")}, context=replace(ctx, connection=connection))
    assert expected == server.asked[0].headers[header]


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        ({"kind": "oauth2"}, "does not work here"),
        ({"kind": "api_key"}, "has no key"),
        ({"kind": "basic", "user": "a"}, "no password"),
    ],
)
async def test_signing_in_with_what_does_not_fit(server, call, ctx, connection, expected):
    """
    Nothing is sent without it.
    """
    with pytest.raises(SignInAgain, match=expected):
        await call("http.request", {"url": server.url("/a")}, context=replace(ctx, connection=connection))
    assert [] == server.asked


NUMBERS = list(range(25))


def by_link(asked):
    page = int(dict(asked.query).get("page", 1))
    link = f'<{asked.path}?page={page + 1}&size=10>; rel="next"' if page < 3 else '<x>; rel="prev"'
    return Reply({"l": NUMBERS[(page - 1) * 10 : page * 10]}, headers={"link": link})


def by_next(asked):
    page = int(dict(asked.query).get("p", 0))
    return Reply({"l": NUMBERS[page * 10 : page * 10 + 10], "paging": {"next": f"?p={page + 1}" if page < 2 else None}})


def by_cursor(asked):
    at = int(dict(asked.query).get("after", 0))
    return Reply({"l": NUMBERS[at : at + 10], "meta": {"next": str(at + 10), "more": at + 10 < 25}})


def by_cursor_in_body(asked):
    at = int(asked.json.get("cursor", 0))
    return Reply({"l": NUMBERS[at : at + 10], "next": at + 10 if at + 10 < 25 else ""})


def by_page(asked):
    page, size = int(dict(asked.query)["page"]), int(dict(asked.query).get("per_page", 10))
    return Reply({"l": NUMBERS[(page - 1) * size : page * size]})


def by_offset(asked):
    query = dict(asked.query)
    at, size = int(query["offset"]), int(query["limit"])
    return Reply({"l": NUMBERS[at : at + size], "total": 25})


@pytest.mark.parametrize(
    ("route", "paging", "pages"),
    [
        pytest.param(by_link, "link_header", 3, id="link header"),
        pytest.param(by_next, {"style": "next_url", "path": "paging.next"}, 3, id="next address"),
        pytest.param(
            by_cursor, {"style": "cursor", "path": "meta.next", "param": "after", "more": "meta.more"}, 3, id="cursor"
        ),
        pytest.param(by_cursor_in_body, {"style": "cursor", "path": "next", "send": "body"}, 3, id="cursor in the body"),
        pytest.param(by_page, {"style": "page", "items": "l"}, 4, id="page, until one is empty"),
        pytest.param(by_page, {"style": "page", "items": "l", "size": 10}, 3, id="page, until one is short"),
        pytest.param(by_offset, {"style": "offset", "items": "l", "limit": 10}, 3, id="offset"),
        pytest.param(
            by_offset, {"style": "offset", "items": "l", "limit": 5, "total": "total"}, 5, id="offset, until the total"
        ),
    ],
)
async def test_pages(server, call, route, paging, pages):
    """
    One item per page, all that there is, nothing twice; what the query said goes along.
    """
    server.routes["/list"] = route
    fields = {"url": server.url("/list"), "paging": paging, "query": {"q": "x"}}
    if route is by_cursor_in_body:
        fields |= {"method": "POST", "body": {"size": 10}}
    found = await call("http.request", fields)
    assert NUMBERS == [number for item in found for number in item["body"]["l"]]
    assert pages == len(found)
    assert ("q", "x") in server.asked[0].query
    if route is by_cursor_in_body:
        assert {"size": 10, "cursor": 20} == server.asked[-1].json


async def test_pages_have_a_ceiling(server, call):
    """
    A list that goes on is an error, unless the first pages are enough.
    """
    server.routes["/list"] = by_link
    paging = {"style": "link_header", "max_pages": 2}
    with pytest.raises(Refused, match="goes on after 2 pages"):
        await call("http.request", {"url": server.url("/list"), "paging": paging})
    assert 2 == len(await call("http.request", {"url": server.url("/list"), "paging": {**paging, "at_limit": "stop"}}))


async def test_pages_do_not_go_round_in_circles(server, call):
    """
    A service that names the same page again is not asked forever.
    """
    server.routes["/list"] = Reply({"next": "/list?p=2"})
    with pytest.raises(Refused, match="round in circles"):
        await call("http.request", {"url": server.url("/list"), "paging": "next_url"})


async def test_pages_do_not_lead_to_another_host(server, other, call):
    """
    The header with the key would go there too.
    """
    server.routes["/list"] = Reply({"next": other.url("/steal")})
    with pytest.raises(Refused, match="another host"):
        await call("http.request", {"url": server.url("/list"), "paging": "next_url"})
    assert [] == other.asked


async def test_a_page_that_was_limited_is_asked_for_again(server, call):
    """
    The pages before it are not lost when the wait is short.
    """
    replies = [Reply({"next": "/list?p=2"}), Reply(status=429, headers={"retry-after": "0"}), Reply({"n": 2})]
    server.routes["/list"] = replies
    assert [{"next": "/list?p=2"}, {"n": 2}] == [
        item["body"] for item in await call("http.request", {"url": server.url("/list"), "paging": "next_url"})
    ]


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        ("links", "no paging style “links”", "There is link_header"),
        ({"style": "curser", "path": "x"}, "no paging style “curser”", "Did you mean “cursor”?"),
        ({"style": "cursor"}, "needs “path”", "meta.next_cursor"),
        ({"style": "page", "itmes": "x"}, "no setting “itmes”", "Did you mean “items”?"),
        ({"style": "page", "start": "1"}, "“start” of the paging is a whole number", None),
        ({"style": "page", "at_limit": "never"}, "fail or stop", None),
        ([1], "no paging style", None),
    ],
)
def test_paging_that_makes_no_sense(written, message, hint):
    """
    An unknown word is answered with the known ones.
    """
    with pytest.raises(BadInput, match=message) as caught:
        paging_of(written)
    assert (hint or "") in (caught.value.hint or "")


def test_no_paging():
    """
    Nothing written is no paging; every style can be found by its name.
    """
    assert None is paging_of(None)
    assert {"link_header", "next_url", "cursor", "page", "offset"} == set(STYLES)


async def test_a_list_that_is_none_cannot_be_counted(server, call):
    """
    The error says where the list was looked for.
    """
    server.routes["/list"] = Reply({"data": []})
    with pytest.raises(BadInput, match="no list at “the top”"):
        await call("http.request", {"url": server.url("/list"), "paging": "page"})


async def test_many_at_once_share_the_client(server, call):
    """
    Twenty requests at the same time, each with its own answer.
    """
    server.routes["/a"] = lambda asked: Reply({"n": dict(asked.query)["n"]}, pause=0.02)
    found = await asyncio.gather(
        *(call("http.request", {"url": server.url("/a"), "query": {"n": "{{ item.n }}"}}, {"n": n}) for n in range(20))
    )
    assert [str(n) for n in range(20)] == [item["body"]["n"] for (item,) in found]
    assert server.most_at_once > 5


@pytest.mark.parametrize(
    ("method", "fields", "expected"),
    [
        pytest.param("POST", {}, {"idempotency-key": "run_1/node/0"}, id="by default"),
        pytest.param("PATCH", {"idempotency_header": "X-Once"}, {"x-once": "run_1/node/0"}, id="in a header of its own"),
        pytest.param("POST", {"idempotency_header": ""}, {}, id="not at all"),
        pytest.param("GET", {}, {}, id="reading needs none"),
    ],
)
async def test_writes_say_which_they_are(server, call, method, fields, expected):
    """
    A write carries a key that is the same for every try, by which the service can tell a repetition.
    """
    server.routes["/a"] = Reply({})
    await call("http.request", {"url": server.url("/a"), "method": method, **fields})
    names = ("idempotency-key", "x-once")
    assert expected == {name: value for name, value in server.asked[0].headers.items() if name in names}


async def test_each_page_that_is_asked_for_by_a_write_has_its_own_key(server, call):
    """
    The second write of one item is no repetition of the first.
    """
    server.routes["/a"] = [Reply({"next": "p2"}), Reply({"next": None})]
    paging = {"style": "cursor", "path": "next", "send": "body"}
    await call("http.request", {"url": server.url("/a"), "method": "POST", "body": {"q": 1}, "paging": paging})
    assert ["run_1/node/0", "run_1/node/0:2"] == [asked.headers["idempotency-key"] for asked in server.asked]
