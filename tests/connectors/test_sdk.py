"""Writing a connector: five names, and what comes of them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

import pytest

from connectors._runtime.auth import ApiKey, Basic
from connectors._runtime.loader import find_connectors
from connectors._runtime.session import Session, at_path
from connectors.sdk import BadInput, BatchCall, Choice, Choices, Connector, LongText, Refused, Retry
from engine.steps.computed import bind_fields

from .conftest import Reply

pytestmark = pytest.mark.anyio


def a_chat(base_url="https://chat.example/api"):
    """A connector as the how-to page writes it."""
    chat = Connector("chat", "Chat", base_url=base_url, auth=[ApiKey(), Basic()], icon="chat")

    async def rooms(ctx) -> AsyncIterator[Choice]:
        async for room in ctx.http.pages("/rooms", items="rooms", cursor="next"):
            yield room["id"], room["name"]

    @chat.action("Post a message", effect="write", sample={"id": "17"})
    async def post_message(ctx, room: Annotated[str, Choices(rooms)], text: LongText) -> dict:
        """Says something in a room; the answer holds the id of the message."""
        return await ctx.http.post("/messages", json={"room": room, "text": text})

    @chat.action("Count words")
    def count_words(batch: BatchCall, from_: str = "text") -> list:
        """Counts the words of all messages."""
        return [
            {"words": sum(len(item[from_].split()) for item in batch.items), "has_http": isinstance(batch.ctx.http, Session)}
        ]

    @chat.trigger("New message", every=timedelta(minutes=1), key="id", sample={"id": "17"})
    async def new_message(ctx, room: str):
        """Starts for each new message."""
        yield {"id": "17"}

    @chat.test
    async def who_am_i(ctx) -> str:
        return f"Signed in as {(await ctx.http.get('me'))['name']}"

    chat.functions = (post_message, count_words, new_message, who_am_i, rooms)
    return chat


def test_the_signature_is_the_form():
    """
    Name, fields, help, effect and sign-in of a step come from one function.
    """
    post, count = a_chat().steps
    assert ("chat.post_message", "Post a message", "each", "write", False) == (
        post.name,
        post.title,
        post.mode,
        post.effect,
        post.is_idempotent,
    )
    assert [("room", "text", True), ("text", "long_text", True)] == [
        (field.name, field.type, field.required) for field in post.fields
    ]
    assert post.field("room").choices_from is not None
    assert ("api_key", "basic") == post.auth
    assert ("batch", "read", True, ["from"]) == (
        count.mode,
        count.effect,
        count.is_idempotent,
        [field.name for field in count.fields],
    )
    assert post.help.startswith("Says something")
    assert ("app", "chat", ("chat",)) == (post.category, post.icon, post.keywords)


def test_triggers_are_described():
    """
    What it asks, how often, and what makes an event unique.
    """
    (trigger,) = a_chat().triggers
    assert ("chat.new_message", timedelta(minutes=1), "id", ["room"]) == (
        trigger.name,
        trigger.every,
        trigger.key,
        [field.name for field in trigger.fields],
    )


async def test_an_action_speaks_to_its_service(server, ctx):
    """
    Paths are relative to the service, signed, with the step's key; the answer is what it returns.
    """
    server.routes["/api/messages"] = Reply({"id": "17"})
    chat = a_chat(server.url("/api"))
    signed = replace(ctx, connection={"kind": "api_key", "key": "k"})
    fields = bind_fields(chat.steps[0], {"room": "1", "text": "hi {{ item.n }}"}, {"item": {"n": 5}})
    assert {"id": "17"} == await chat.steps[0].call(signed, **fields)
    asked = server.asked[0]
    assert ({"room": "1", "text": "hi 5"}, "Bearer k", "run_1/node/0") == (
        asked.json,
        asked.headers["authorization"],
        asked.headers["idempotency-key"],
    )


async def test_choices_tests_and_pages(server, ctx):
    """
    A drop-down asks page by page, the test says who is signed in.
    """
    server.routes["/rooms"] = lambda asked: (
        Reply({"rooms": [{"id": "2", "name": "B"}], "next": None})
        if dict(asked.query).get("cursor")
        else Reply({"rooms": [{"id": "1", "name": "A"}], "next": "x"})
    )
    server.routes["/me"] = Reply({"name": "Ada"})
    chat = a_chat(server.url())
    bound = chat.context(ctx)
    assert [("1", "A"), ("2", "B")] == [choice async for choice in chat.steps[0].field("room").choices_from(bound)]
    assert "Signed in as Ada" == await chat.tester(ctx)


async def test_a_batch_action_gets_the_same_context(ctx):
    """
    `batch.ctx.http` speaks to the service too.
    """
    chat = a_chat()
    batch = BatchCall(ports={"in": [{"text": "a b"}, {"text": "c"}]}, ctx=ctx)
    assert [{"words": 3, "has_http": True}] == chat.steps[1].call(batch, **{"from": "text"})


async def test_pages_by_link_header_end(server, ctx):
    """
    Link headers are followed on the same host; what is no list, or never ends, is told.
    """
    server.routes["/l"] = lambda asked: Reply([2]) if asked.query else Reply([1], headers={"link": '</l?p=2>; rel="next"'})
    server.routes["/none"] = Reply({"a": 1})
    server.routes["/ever"] = Reply([1], headers={"link": '</ever>; rel="next"'})
    session = Session(ctx, base_url=server.url())
    assert [1, 2] == [entry async for entry in session.pages("/l")]
    with pytest.raises(Refused, match="no list at “the top”"):
        [entry async for entry in session.pages("/none")]
    with pytest.raises(Refused, match="goes on after 3 pages"):
        [entry async for entry in session.pages("/ever", most=3)]


async def test_every_method_has_its_word(server, ctx):
    """
    get, post, put, patch, delete return what the service says.
    """
    server.routes["/a"] = lambda asked: Reply({"m": asked.method})
    session = Session(ctx, base_url=server.url() + "/")
    found = [await getattr(session, word)("/a") for word in ("get", "post", "put", "patch", "delete")]
    assert ["GET", "POST", "PUT", "PATCH", "DELETE"] == [answer["m"] for answer in found]


async def test_a_connection_is_for_its_own_service(server, other, ctx):
    """
    The key of one service is not sent to another; without a base address a whole one is wanted.
    """
    signed = replace(ctx, connection={"kind": "api_key", "key": "k"})
    with pytest.raises(BadInput, match="may not be used"):
        await Session(signed, base_url=server.url(), auth=(ApiKey(),)).get(other.url("/a"))
    with pytest.raises(BadInput, match="no web address"):
        await Session(ctx).get("/a")
    assert [] == other.asked


async def test_a_connection_can_name_its_hosts(server, ctx):
    """
    A key for any address is still bound to the hosts it was given for.
    """
    server.routes["/a"] = Reply({"ok": 1})
    for hosts, works in ((["127.0.0.1"], True), (["shop.example"], False)):
        session = Session(replace(ctx, connection={"kind": "api_key", "key": "k", "hosts": hosts}), auth=(ApiKey(),))
        if works:
            assert {"ok": 1} == await session.get(server.url("/a"))
        else:
            with pytest.raises(BadInput, match="may not be used for 127"):
                await session.get(server.url("/a"))


async def test_keys_can_stand_elsewhere(server, ctx):
    """
    In a header of their own, or in the query.
    """
    server.routes["/a"] = Reply({})
    signed = replace(ctx, connection={"kind": "api_key", "key": "k"})
    for way in (ApiKey(name="X-Key", format="{key}"), ApiKey(where="query", name="key", format="{key}")):
        await Session(signed, base_url=server.url(), auth=(way,), timeout=timedelta(seconds=5)).get("/a")
    assert ("k", [("key", "k")]) == (server.asked[0].headers["x-key"], server.asked[1].query)


def test_mistakes_are_found_when_it_is_written():
    """
    Two actions of one name, a bad id, a trigger that yields nothing.
    """
    chat = a_chat()
    with pytest.raises(ValueError, match="two actions"):
        chat.action("Again")(chat.functions[0])
    with pytest.raises(ValueError, match="cannot be the id"):
        Connector("My Chat", "Chat")
    with pytest.raises(TypeError, match="no async generator"):
        chat.trigger("Bad")(chat.functions[0])


def test_retry_says_when():
    """
    Seconds or a duration, or just later.
    """
    assert [timedelta(seconds=5), timedelta(minutes=1), None] == [
        Retry(wait).retry_after for wait in (5, timedelta(minutes=1), None)
    ]
    assert Retry(1).retryable


def test_paths_into_answers():
    """
    Objects and lists, and nothing where there is nothing.
    """
    assert [1, 2, None, None, {"a": 1}] == [
        at_path({"a": 1}, "a"),
        at_path({"l": [{"b": 2}]}, "l.0.b"),
        at_path({}, "a.b"),
        at_path([1], "5"),
        at_path({"a": 1}, ""),
    ]


def test_every_connector_is_found_by_its_folder():
    """
    The folder, the id and the first word of each step are one.
    """
    found = list(find_connectors())
    assert "http" in [connector.id for connector in found]
    for connector in found:
        for step in connector.steps:
            assert step.name.startswith(f"{connector.id}.")
            assert step.help
            assert step.sample is not None


def test_a_folder_without_a_connector_is_told(tmp_path, monkeypatch):
    """
    Half a connector does not pass silently.
    """
    from connectors._runtime import loader

    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "connector.py").write_text("")
    monkeypatch.setattr(loader, "HOME", tmp_path)
    monkeypatch.setattr(loader, "import_module", lambda name: type("Module", (), {}))
    with pytest.raises(TypeError, match="holds one Connector"):
        list(find_connectors())
