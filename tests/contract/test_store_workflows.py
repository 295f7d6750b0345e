"""What the store promises about workflows, triggers, the inbox, tokens and values, on every store."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.errors import Conflict, NotFound
from engine.ids import NodeId, VersionId, WorkflowId
from engine.model.run import RunStatus
from engine.model.workflow import Document, Edge, Node, RetryPolicy, Settings
from engine.protocols import RunFilter, Token

pytestmark = pytest.mark.anyio


async def kept(store, *workflows):
    def all_of_them(work):
        for workflow in workflows:
            work.workflows.add(workflow)

    await store.write(all_of_them)


async def test_a_workflow_is_found_by_id_and_by_name(store, make):
    """
    Names are exact and unique.
    """
    workflow = make.workflow("Überfällig", active_version=VersionId("sha-v1"))
    await kept(store, workflow)

    assert workflow == await store.read(lambda work: work.workflows.get(workflow.id))
    assert workflow == await store.read(lambda work: work.workflows.find_by_name("Überfällig"))
    assert await store.read(lambda work: work.workflows.find_by_name("überfällig")) is None


async def test_an_update_needs_the_revision_it_was_made_on(store, make):
    """
    Of two people who saved on the same revision the second is told, and nothing of the first is lost.
    """
    workflow = make.workflow()
    await kept(store, workflow)

    def save(text):
        return store.write(lambda work: work.workflows.update(replace(workflow, draft=text, revision=2), expected_revision=1))

    results = await asyncio.gather(save("mine"), save("yours"), return_exceptions=True)

    assert [type(None), Conflict] == [type(result) for result in results]
    assert "mine" == (await store.read(lambda work: work.workflows.get(workflow.id))).draft
    with pytest.raises(NotFound):
        await store.write(lambda work: work.workflows.update(make.workflow("Nobody's")))


async def test_a_rename_to_a_taken_name_is_a_conflict(store, make):
    """
    The other one keeps its name.
    """
    first, second = make.workflow("One"), make.workflow("Two")
    await kept(store, first, second)

    with pytest.raises(Conflict, match="One"):
        await store.write(lambda work: work.workflows.update(replace(second, name="One")))


async def test_the_list_shows_each_workflow_with_its_last_real_run(store, make, clock):
    """
    By name, filtered by text; tests do not count as the last run; active triggers are named.
    """
    bills, orders, idle = make.workflow("bills"), make.workflow("Orders"), make.workflow("Idle 100%")
    await kept(store, bills, orders, idle)
    runs = []
    for workflow, is_test in ((bills, False), (orders, False), (bills, False), (bills, True)):
        clock.advance(timedelta(seconds=1))
        runs.append(make.run(RunStatus.SUCCEEDED, workflow_id=workflow.id, is_test=is_test))

    def more(work):
        for run in runs:
            work.runs.add(run, input=b"[]")
        work.triggers.replace(orders.id, [make.trigger(orders), make.trigger(orders, "b", kind="trigger.webhook")])

    await store.write(more)

    rows = await store.read(lambda work: work.workflows.list_rows())

    assert [(bills, runs[2]), (idle, None), (orders, runs[1])] == [(row.workflow, row.last_run) for row in rows]
    assert [(), (), ("trigger.webhook", "trigger.schedule")] == [row.trigger_kinds for row in rows]
    for expected, text in ((["bills"], "BILL"), (["Idle 100%"], "100%"), ([], "x")):
        found = await store.read(lambda work, text=text: work.workflows.list_rows(text=text))
        assert expected == [row.workflow.name for row in found]
    second = await store.read(lambda work: work.workflows.list_rows(limit=1, offset=1))
    assert ["Idle 100%"] == [row.workflow.name for row in second]


async def test_versions_come_back_as_they_were(store, make, clock):
    """
    The whole document survives, in its order; newest versions are listed first; a known one stays as it is.
    """
    workflow = make.workflow()
    ids = [NodeId(name) for name in ("z_first", "a_second")]
    document = Document(
        name="All of it",
        description="Grüße",
        nodes={
            ids[0]: Node(
                id=ids[0],
                use="http.request",
                title="Fetch",
                note="why",
                connection="shop",
                fields={"url": "{{ x }}", "n": 1.5, "deep": {"list": [None, True, {"k": "v"}]}},
                retry=RetryPolicy(
                    attempts=5, first=timedelta(seconds=2), factor=1.5, longest=timedelta(minutes=9), total=timedelta(hours=1)
                ),
                timeout=timedelta(milliseconds=1500),
                on_error="route",
                on_uncertain="skip",
                run_on_empty=True,
                disabled=True,
            ),
            ids[1]: Node(id=ids[1], use="data.set"),
        },
        edges=(Edge(ids[0], ids[1]), Edge(ids[0], ids[1], "error", "b")),
        settings=Settings(timezone="Europe/Vienna", concurrency=4, timeout=timedelta(hours=2), on_failure="Alarm"),
        layout={ids[1]: (10, -20)},
    )
    first = replace(make.version(workflow, "a"), document=document)
    clock.advance(timedelta(seconds=1))
    second = replace(make.version(workflow, "b"), parents=(first.id,), message="More")

    def keep(work):
        work.workflows.add(workflow)
        for version in (first, second, replace(first, message="again")):
            work.workflows.add_version(version)

    await store.write(keep)

    assert [second, first] == await store.read(lambda work: work.workflows.list_versions(workflow.id))
    found = await store.read(lambda work: work.workflows.get_version(first.id))
    assert first == found
    assert list(document.nodes) == list(found.document.nodes)


async def test_deleting_a_workflow_keeps_its_runs(store, make):
    """
    Versions, triggers and firings go; runs stay readable with the document they executed.
    """
    workflow, other = make.workflow(), make.workflow("Other")
    used, unused = make.version(workflow, "used"), make.version(workflow, "unused")
    shared = make.version(other, "unused")
    run = make.run(RunStatus.SUCCEEDED, workflow_id=workflow.id, version_id=used.id)
    firing = make.firing(workflow_id=workflow.id)

    def keep(work):
        work.workflows.add(workflow)
        work.workflows.add(other)
        for version in (used, unused, shared):
            work.workflows.add_version(version)
        work.runs.add(run, input=b"[7]")
        work.triggers.replace(workflow.id, [make.trigger(workflow)])
        work.firings.accept(firing)

    await store.write(keep)
    await store.write(lambda work: work.workflows.delete(workflow.id))

    assert [run] == await store.read(lambda work: work.runs.list_page(RunFilter()))
    assert used.document == await store.read(lambda work: work.runs.get_document(run.id))
    assert b"[7]" == await store.read(lambda work: work.runs.get_input(run.id))
    assert [] == await store.read(lambda work: work.triggers.list_all())
    assert [] == await store.read(lambda work: work.firings.list_waiting())
    assert [shared] == await store.read(lambda work: work.workflows.list_versions(other.id))
    assert shared == await store.read(lambda work: work.workflows.get_version(unused.id))
    with pytest.raises(NotFound):
        await store.read(lambda work: work.workflows.get(workflow.id))


async def test_replacing_triggers_keeps_what_unchanged_ones_remember(store, make, clock):
    """
    Cursor, due time and pause stay with a node whose kind, fields and time zone are the same; a changed node begins anew.
    """
    workflow = make.workflow()
    same, changed, gone = (make.trigger(workflow, node) for node in ("same", "changed", "gone"))
    due = clock.now() + timedelta(hours=1)

    def first(work):
        work.workflows.add(workflow)
        work.triggers.replace(workflow.id, [same, changed, gone])
        for node in ("same", "changed", "gone"):
            work.triggers.set_next_due(workflow.id, NodeId(node), due)
            work.triggers.set_cursor(workflow.id, NodeId(node), {"seen": [1, 2]})
            work.triggers.set_paused(workflow.id, NodeId(node), True)

    await store.write(first)
    newer = VersionId("sha-v2")
    given = [replace(same, version_id=newer), replace(changed, version_id=newer, fields={"cron": "0 8 * * *"})]
    await store.write(lambda work: work.triggers.replace(workflow.id, given))

    remembered = {"cursor": {"seen": [1, 2]}, "next_due": due, "is_paused": True}
    assert [given[1], replace(given[0], **remembered)] == await store.read(lambda work: work.triggers.list_all())
    assert [] == await store.read(lambda work: work.triggers.list_all("trigger.webhook"))

    await store.write(lambda work: work.triggers.replace(workflow.id, []))
    assert [] == await store.read(lambda work: work.triggers.list_all())


async def test_a_trigger_carries_its_route_and_the_name_of_today(store, make):
    """
    Webhooks keep path and methods; renaming the workflow is seen by its triggers.
    """
    workflow = make.workflow("Before")
    hook = make.trigger(workflow, kind="trigger.webhook", path="orders/{id}", methods=("GET", "POST"), timezone="UTC")

    def keep(work):
        work.workflows.add(workflow)
        work.triggers.replace(workflow.id, [hook])
        work.workflows.update(replace(workflow, name="After"))

    await store.write(keep)

    assert replace(hook, workflow_name="After") == await store.read(lambda work: work.triggers.get(workflow.id, hook.node))


async def test_a_firing_is_accepted_once_however_often_it_comes(store, make):
    """
    A hundred deliveries of one event at the same time: one is new, all get the same firing.
    """
    firings = [make.firing("the same key") for _ in range(100)]

    answers = await asyncio.gather(*(store.write(lambda work, each=each: work.firings.accept(each)) for each in firings))

    assert 1 == sum(is_new for _, is_new in answers)
    assert 1 == len({firing.id for firing, _ in answers})
    assert 1 == len(await store.read(lambda work: work.firings.list_waiting()))


async def test_the_key_counts_within_its_trigger(store, make):
    """
    Another node or another workflow may use the same key.
    """
    firings = [make.firing(), make.firing(node=NodeId("other")), make.firing(workflow_id=WorkflowId("wf_2"))]

    answers = [await store.write(lambda work, each=each: work.firings.accept(each)) for each in firings]

    assert [(firing, True) for firing in firings] == answers


async def test_firings_wait_until_they_are_started(store, make, clock):
    """
    The inbox is served oldest first; held ones wait too, started and discarded ones are done with.
    """
    firings = []
    for key in "abcd":
        firings.append(make.firing(key, state="held" if key == "b" else "queued"))
        clock.advance(timedelta(seconds=1))
    started, held, discarded, queued = firings

    def work_on(work):
        for firing in firings:
            work.firings.accept(firing)
        work.firings.mark_started(started.id, make.run().id)
        work.firings.set_state(discarded.id, "discarded")

    await store.write(work_on)

    assert [held, queued] == await store.read(lambda work: work.firings.list_waiting())
    assert [queued] == await store.read(lambda work: work.firings.list_waiting(states=("queued",)))
    assert [held] == await store.read(lambda work: work.firings.list_waiting(limit=1))
    await store.write(lambda work: work.firings.set_state(held.id, "queued"))
    assert 2 == len(await store.read(lambda work: work.firings.list_waiting(states=("queued",))))


async def test_a_firing_becomes_one_run(store, make):
    """
    A second run for the same firing is refused; a retry of the first may carry its firing on.
    """
    firing = make.firing()
    run = make.run(firing_id=firing.id)
    await store.write(lambda work: (work.firings.accept(firing), work.runs.add(run, input=b"[]")))

    with pytest.raises(Conflict):
        await store.write(lambda work: work.runs.add(make.run(firing_id=firing.id), input=b"[]"))
    await store.write(lambda work: work.runs.add(make.run(firing_id=firing.id, retry_of=run.id), input=b"[]"))

    assert run == await store.read(lambda work: work.runs.find_by_firing(firing.id))


async def test_tokens(store, clock):
    """
    A token is found by the hash of its secret, remembers its use, and stays in the list when it is ended.
    """
    token = Token(id="tok_1", name="nightly", hash="h1", scopes=("read", "run"), created_at=clock.now())
    other = Token(id="tok_2", name="other", hash="h2", scopes=(), created_at=clock.now(), expires_at=clock.now())
    await store.write(lambda work: (work.tokens.add(token), work.tokens.add(other)))
    ended = clock.now() + timedelta(hours=1)

    assert token == await store.read(lambda work: work.tokens.find_by_hash("h1"))
    assert await store.read(lambda work: work.tokens.find_by_hash("h3")) is None
    await store.write(lambda work: work.tokens.touch("tok_1", at=clock.now()))
    await store.write(lambda work: work.tokens.revoke("tok_1", at=ended))
    await store.write(lambda work: work.tokens.revoke("tok_1", at=ended + timedelta(hours=1)))

    assert [replace(token, last_used_at=clock.now(), revoked_at=ended), other] == await store.read(
        lambda work: work.tokens.list_all()
    )


async def test_values(store):
    """
    Any JSON is kept under a key, a second one takes the place of the first, a missing one is the default.
    """
    for value in ({"a": [1, 2.5, None, "ü"]}, [], False, None, "text"):
        await store.write(lambda work, value=value: work.values.set("key", value))
        assert value == await store.read(lambda work: work.values.get("key", "default"))
    assert "default" == await store.read(lambda work: work.values.get("other", "default"))
