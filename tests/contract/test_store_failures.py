"""The failure desk and its replays, on every store."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.errors import NotFound
from engine.ids import NodeId, RunId, WorkflowId
from engine.model.causes import cause_of
from engine.model.failures import Failure, FailureFilter, Replay
from engine.model.run import RunStatus

pytestmark = pytest.mark.anyio

ALL = FailureFilter(states=("open", "replaying", "resolved", "replaced", "discarded"))


def an_error(message="Order 17 is unknown.", **where):
    return {"code": "refused", "message": message, "hint": None, "where": {"node": "fetch", **where}}


@pytest.fixture
def fail(store, make, clock):
    """Put a run on the desk: it is stored, and so is its failure."""

    async def put(message="Order 17 is unknown.", step="http.request", workflow="Overdue orders", **given):
        clock.advance(timedelta(seconds=1))
        error = an_error(message)
        run = make.run(RunStatus.FAILED, error=error, workflow_name=workflow, workflow_id=WorkflowId(f"wf_{workflow}"))
        cause = cause_of(error, step)
        failure = Failure(
            run_id=run.id,
            group_id=cause.id,
            workflow_id=run.workflow_id,
            workflow_name=workflow,
            node=NodeId("fetch"),
            at=clock.now(),
        )

        def keep(work):
            work.runs.add(run, input=b"[{}]")
            work.failures.add([(replace(failure, **given), cause)])

        await store.write(keep)
        return failure

    return put


def a_replay(clock, **given):
    return Replay(**{"id": "replay_1", "group_id": None, "created_at": clock.now(), "created_by": "ada", **given})


async def test_failures_of_one_cause_are_one_group(store, fail):
    """
    A group says how often, since when, until when, and whose; the latest failure comes first.
    """
    first = await fail("Order 17 is unknown.")
    await fail("Order 18 is unknown.", workflow="Other")
    last = await fail("Order 19 is unknown.")
    other = await fail("It is down.")

    groups = await store.read(lambda work: work.failures.list_groups(FailureFilter()))

    assert [(other.group_id, 1), (first.group_id, 3)] == [(group.id, group.count) for group in groups]
    group = groups[1]
    assert (first.at, last.at, last.run_id) == (group.first_at, group.last_at, group.last_run_id)
    assert {"Overdue orders": 2, "Other": 1} == group.workflows
    assert ("Order 19 is unknown.", "Order ‹n› is unknown.") == (group.message, group.cause.message)


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (FailureFilter(), 3),
        (FailureFilter(workflow_id=WorkflowId("wf_Other")), 1),
        (FailureFilter(text="DOWN"), 1),
        (FailureFilter(text="http.req"), 3),
        (FailureFilter(text="othe"), 1),
        (FailureFilter(text="nobody"), 0),
        (FailureFilter(states=("discarded",)), 0),
    ],
)
async def test_the_desk_can_be_narrowed(store, fail, filter, expected):
    """
    By workflow, by words of the cause, by where a failure stands; lists, groups and counts agree.
    """
    await fail("Order 17 is unknown.")
    await fail("Order 18 is unknown.", workflow="Other")
    await fail("It is down.")

    def look(work):
        groups = work.failures.list_groups(filter)
        return sum(group.count for group in groups), len(work.failures.list_page(filter)), work.failures.count(filter)

    assert (expected, expected, expected) == await store.read(look)


async def test_pages(store, fail):
    """
    Groups come page by page, and so do the failures of one.
    """
    failures = [await fail(f"Order {number} is unknown.") for number in range(5)]
    await fail("It is down.")

    def look(work):
        second = work.failures.list_groups(FailureFilter(limit=1, offset=1))
        page = work.failures.list_page(FailureFilter(limit=2, group_id=second[0].id))
        return second, page, work.failures.list_page(FailureFilter(limit=2, group_id=second[0].id), before=page[-1].run_id)

    groups, page, next_page = await store.read(look)
    assert [failures[0].group_id] == [group.id for group in groups]
    assert [failure.run_id for failure in reversed(failures[1:])] == [one.run_id for one in (*page, *next_page)]
    assert an_error("Order 4 is unknown.") == page[0].error


async def test_a_failure_comes_to_the_desk_once(store, fail):
    """
    What stands there already is not touched by its coming again.
    """
    failure = await fail()
    cause = cause_of(an_error(), "http.request")

    await store.write(lambda work: work.failures.add([(replace(failure, state="discarded"), cause)]))

    assert "open" == (await store.read(lambda work: work.failures.get(failure.run_id))).state
    with pytest.raises(NotFound):
        await store.read(lambda work: work.failures.get(RunId("run_nobody")))


async def test_discard_and_undo(store, fail, clock):
    """
    Put away with a reason, and all of it brought back by the name of that act; what is replayed is not put away.
    """
    one, two = await fail(), await fail()
    busy = await fail(state="replaying")
    group = FailureFilter(group_id=one.group_id)

    def discard(work):
        return work.failures.put_away(group, None, action="discard_1", reason="known", by="ada", at=clock.now())

    assert 2 == await store.write(discard)
    kept = await store.read(lambda work: work.failures.get(one.run_id))
    assert ("discarded", "known", "ada", clock.now()) == (kept.state, kept.reason, kept.settled_by, kept.settled_at)
    assert [busy.run_id] == [left.run_id for left in await store.read(lambda work: work.failures.list_page(group))]

    undone = FailureFilter(action="discard_1")
    assert 1 == await store.write(lambda work: work.failures.bring_back(undone, [two.run_id]))
    assert 1 == await store.write(lambda work: work.failures.bring_back(undone, None))
    assert 0 == await store.write(lambda work: work.failures.bring_back(undone, None))
    back = await store.read(lambda work: work.failures.get(one.run_id))
    assert ("open", None, None) == (back.state, back.reason, back.settled_at)


async def test_a_replay_is_an_order_with_a_place_for_each_failure(store, fail, clock):
    """
    It takes the open failures of its group, oldest first; they count as replaying, and no other replay gets them.
    """
    failures = [await fail() for _ in range(3)]
    await fail("It is down.")
    replay = a_replay(clock, group_id=failures[0].group_id, input=b'[{"a": 1}]', start="start")

    assert 3 == await store.write(lambda work: work.replays.add(replay, None))
    assert 0 == await store.write(lambda work: work.replays.add(replace(replay, id="replay_2"), None))

    def look(work):
        return work.replays.get("replay_1"), work.replays.items("replay_1"), work.failures.list_groups(FailureFilter())

    kept, items, groups = await store.read(look)
    assert replace(replay, counts={"waiting": 3}) == kept
    assert (3, 0) == (kept.total, kept.finished)
    assert [failure.run_id for failure in failures] == [item.run_id for item in items]
    assert [0, 3] == [group.replaying for group in groups]
    with pytest.raises(NotFound):
        await store.read(lambda work: work.replays.get("replay_2"))


async def test_how_a_replay_goes(store, fail, clock):
    """
    Started, succeeded, failed, cancelled: the item says it, and the failure leaves the desk or comes back.
    """
    good, bad, stopped, left = [await fail() for _ in range(4)]
    ids = [failure.run_id for failure in (good, bad, stopped, left)]
    await store.write(lambda work: work.replays.add(a_replay(clock), ids))

    def begin(work):
        for failure in (good, bad, stopped):
            new = RunId(f"new_{failure.run_id}")
            work.replays.set_item("replay_1", failure.run_id, "running", new_run_id=new)
            work.failures.on_replayed(failure.run_id, new)

    def end(work):
        for failure, item, state in (
            (good, "succeeded", "resolved"),
            (bad, "failed", "replaced"),
            (stopped, "cancelled", "open"),
        ):
            new = RunId(f"new_{failure.run_id}")
            work.replays.on_ended(new, item)
            work.failures.on_replay_ended(failure.run_id, new, state, at=clock.now())

    await store.write(begin)
    await store.write(end)
    replay = await store.read(lambda work: work.replays.get("replay_1"))
    assert {"succeeded": 1, "failed": 1, "cancelled": 1, "waiting": 1} == replay.counts

    assert await store.write(lambda work: work.replays.end("replay_1", "cancelled", at=clock.now()))
    assert not await store.write(lambda work: work.replays.end("replay_1", "done", at=clock.now()))
    await store.write(lambda work: work.failures.open_again("replay_1"))

    def states(work):
        return {failure.run_id: failure.state for failure in work.failures.list_page(ALL)}

    assert dict(zip(ids, ["resolved", "replaced", "open", "open"], strict=True)) == await store.read(states)
    replay = await store.read(lambda work: work.replays.get("replay_1"))
    assert ("cancelled", 4, 4) == (replay.state, replay.total, replay.finished)


async def test_a_run_that_is_pruned_leaves_the_desk(store, fail, clock):
    """
    What is no longer kept is no longer shown.
    """
    failure = await fail()

    def finish(work):
        clock.advance(timedelta(days=1))
        return work.runs.prune(before=clock.now())

    assert 1 == await store.write(finish)
    assert None is await store.read(lambda work: work.failures.find(failure.run_id))
    assert [] == await store.read(lambda work: work.failures.list_groups(ALL))


async def test_a_replay_goes_with_the_last_of_its_failures(store, fail, clock):
    """
    A replay that is over stays as long as one of the runs it was about; then it goes, with the data that was given for it.
    """
    first, second = [(await fail()).run_id for _ in range(2)]
    over, running = (
        replace(a_replay(clock), group_id=None, input=b"y" * 3000),
        replace(a_replay(clock), group_id=None, id="replay_2"),
    )
    assert 2 == await store.write(lambda work: work.replays.add(over, [first, second]))
    await store.write(lambda work: work.failures.open_again(over.id))
    await store.write(lambda work: work.replays.end(over.id, "done", at=clock.now()))
    assert 1 == await store.write(lambda work: work.replays.add(running, [second]))

    async def left():
        gone = await store.write(lambda work: work.retention.drop_orphans())
        return gone, {replay.id for replay in await store.read(lambda work: work.replays.list_page())}

    assert (0, {over.id, running.id}) == await left()
    await store.write(lambda work: work.retention.remove([first]))
    assert (0, {over.id, running.id}) == await left()
    await store.write(lambda work: work.retention.remove([second]))
    assert (1, {running.id}) == await left()
    await store.write(lambda work: work.replays.end(running.id, "done", at=clock.now()))
    assert (1, set()) == await left()
