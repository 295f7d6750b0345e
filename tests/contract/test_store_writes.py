"""What `write` and `read` promise, on every store."""

import asyncio

import pytest

from engine.errors import Conflict, NotFound
from engine.events.types import WorkflowChanged
from engine.model.run import RunStatus

pytestmark = pytest.mark.anyio


async def test_a_write_is_seen_once_it_returned(store, make):
    """
    What a write did is committed when it returns: a reader on another connection sees it.
    """
    workflow = make.workflow()

    assert await store.write(lambda work: (work.workflows.add(workflow), "done")[1]) == "done"

    assert workflow == await store.read(lambda work: work.workflows.get(workflow.id))


async def test_a_write_that_raises_leaves_nothing(store, make):
    """
    All of a change is kept, or none: what it did before it raised is taken back.
    """

    def half(work):
        work.workflows.add(make.workflow())
        work.values.set("seen", True)
        raise RuntimeError("no further")

    with pytest.raises(RuntimeError, match="no further"):
        await store.write(half)

    assert [] == await store.read(lambda work: work.workflows.list_rows())
    assert await store.read(lambda work: work.values.get("seen")) is None


async def test_a_write_that_raises_takes_nobody_along(store, make):
    """
    Of many changes in one flush only the failing ones fail, each with its own error.
    """

    def write(number):
        def change(work):
            work.values.set(f"key {number}", number)
            if number % 3 == 0:
                raise ValueError(f"number {number}")
            return number

        return store.write(change)

    results = await asyncio.gather(*(write(number) for number in range(30)), return_exceptions=True)

    assert [f"number {number}" if number % 3 == 0 else number for number in range(30)] == [
        str(result) if isinstance(result, ValueError) else result for result in results
    ]
    kept = await store.read(lambda work: [number for number in range(30) if work.values.get(f"key {number}") == number])
    assert [number for number in range(30) if number % 3] == kept


async def test_a_broken_rule_is_a_conflict_of_its_caller_alone(store, make):
    """
    A name that is taken is refused to the second caller; the transaction they share goes on.
    """
    first, second, other = make.workflow("Bills"), make.workflow("Bills"), make.workflow("Orders")

    results = await asyncio.gather(
        *(store.write(lambda work, each=each: work.workflows.add(each)) for each in (first, second, other)),
        return_exceptions=True,
    )

    assert [type(None), Conflict, type(None)] == [type(result) for result in results]
    names = await store.read(lambda work: [row.workflow.name for row in work.workflows.list_rows()])
    assert ["Bills", "Orders"] == names


async def test_writes_keep_their_order(store):
    """
    Changes and journal records are carried out in the order in which they were given.
    """

    def add(number):
        return store.write(lambda work: work.values.set("list", [*work.values.get("list", []), number]))

    await asyncio.gather(*(add(number) for number in range(200)))

    assert list(range(200)) == await store.read(lambda work: work.values.get("list"))


async def test_a_write_sees_what_was_recorded_before_it(store, make):
    """
    A change that follows journal records finds them in its own transaction.
    """
    run = make.run(RunStatus.RUNNING)
    store.journal.start(run, input=b"[]")
    store.journal.append(make.fact(run.id), epoch=0)

    seen = await store.write(lambda work: (work.runs.get(run.id), len(work.runs.facts(run.id))))

    assert (run, 1) == seen


async def test_events_go_out_after_the_commit_and_in_order(store, make, clock):
    """
    Events are told once their transaction is on disk; those of a change that failed are never told.
    """
    told = []
    store.emit_to(told.extend)

    def change(number):
        def publish(work):
            work.publish(WorkflowChanged(at=clock.now(), workflow_id=f"wf_{number}", change="saved"))
            if number == 2:
                raise ValueError

        return store.write(publish)

    await asyncio.gather(*(change(number) for number in range(4)), return_exceptions=True)

    assert ["wf_0", "wf_1", "wf_3"] == [event.workflow_id for event in told]


async def test_a_cancelled_caller_does_not_stop_the_others(store, make):
    """
    Who gives up waiting loses only the answer.
    """
    waiting = asyncio.create_task(store.write(lambda work: work.values.set("a", 1)))
    await asyncio.sleep(0)
    waiting.cancel()

    await store.write(lambda work: work.values.set("b", 2))

    assert (1, 2) == await store.read(lambda work: (work.values.get("a"), work.values.get("b")))


async def test_a_read_cannot_write(store):
    """
    A query that tries to change something is refused, so that there is one writer for certain.
    """
    with pytest.raises(Exception, match=r"(?i)read.?only"):
        await store.read(lambda work: work.values.set("a", 1))


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
async def test_a_read_stands_on_one_snapshot(store):
    """
    What is committed while a query runs is not seen by it; in memory the two take turns instead.
    """
    await store.write(lambda work: work.values.set("a", 1))
    loop = asyncio.get_running_loop()

    def look_twice(work):
        before = work.values.get("a")
        asyncio.run_coroutine_threadsafe(store.write(lambda work: work.values.set("a", 2)), loop).result(10)
        return before, work.values.get("a")

    assert (1, 1) == await store.read(look_twice)
    assert await store.read(lambda work: work.values.get("a")) == 2


async def test_what_is_missing_is_not_found(store):
    """
    `get_` raises, with a sentence that names the thing.
    """
    for query in (
        lambda work: work.workflows.get("wf_none"),
        lambda work: work.workflows.get_version("v_none"),
        lambda work: work.runs.get("run_none"),
        lambda work: work.runs.get_input("run_none"),
        lambda work: work.runs.get_document("run_none"),
        lambda work: work.runs.request_cancel("run_none"),
        lambda work: work.triggers.get("wf_none", "node"),
        lambda work: work.firings.get("fire_none"),
        lambda work: work.tokens.revoke("tok_none", at=None),
    ):
        with pytest.raises(NotFound):
            await store.write(query)


async def test_many_readers_beside_a_writer(store):
    """
    Readers and the writer do not wait for each other to the point of failing.
    """
    await store.write(lambda work: work.values.set("count", 0))

    async def write():
        for _ in range(30):
            await store.write(lambda work: work.values.set("count", work.values.get("count") + 1))

    async def read():
        return [await store.read(lambda work: work.values.get("count")) for _ in range(30)]

    _, *seen = await asyncio.gather(write(), *(read() for _ in range(8)))

    assert all(counts == sorted(counts) for counts in seen)
    assert await store.read(lambda work: work.values.get("count")) == 30
