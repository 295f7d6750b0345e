"""Replays: failures repeated a few at a time, through restarts, each of them once."""

import asyncio
import time
from contextlib import suppress

import pytest

from engine.access import OWNER
from engine.errors import BadRequest, Conflict
from engine.ids import WorkflowId
from engine.model.codec import document_hash, write_document
from engine.model.failures import FailureFilter, Replay
from engine.model.run import RunStatus
from engine.model.workflow import Version, Workflow
from engine.protocols import RunFilter
from engine.run.payloads import encode_batch
from engine.run.replayer import Replayer
from engine.service.failures import FailureService
from tests.run.many_failures import put_on_desk
from tests.run.workshop import a_document, a_node, a_run, until

pytestmark = pytest.mark.anyio

ORDERS = a_document(
    [
        a_node("start", "trigger.manual"),
        a_node("first", "test.send", what="first {{ item.n }}"),
        a_node("send", "test.send", what="{{ nodes.start.item.n }}"),
    ],
    "start -> first -> send",
)


class Desk:
    """A workshop with a replayer and the service in front of it."""

    def __init__(self, shop):
        self.shop = shop
        self.replayer = Replayer(shop.store, shop.clock, shop.bus)
        self.service = FailureService(store=shop.store, clock=shop.clock, actor=OWNER, ring=self.replayer.ring)

    async def fail(self, count, times=1):
        """Let so many runs fail at `send`; each fails so many times."""
        runs = []
        for n in range(count):
            self.shop.outside.fail[str(n)] = [ValueError(f"order {n} is broken") for _ in range(times)]
            run = a_run(ORDERS, self.shop.clock, is_test=False, workflow_id=WorkflowId("wf_orders"))
            runs.append(self.shop.worker.submit(run, ORDERS, [{"n": n}], keeps_document=True).id)
        for run_id in runs:
            assert RunStatus.FAILED is (await self.shop.worker.wait(run_id)).status
        return runs

    async def done(self, replay):
        """Return a replay once it is over."""
        async with asyncio.timeout(20):
            while (found := await self.service.get_replay(replay.id)).state == "running":
                await asyncio.sleep(0.005)
        return found


@pytest.fixture
async def desk(shop):
    desk = Desk(shop)
    await desk.replayer.start()
    yield desk
    await desk.replayer.stop()


async def test_a_group_is_replayed_from_the_failed_step(desk, shop):
    """
    Every failure of the cause is repeated; what was done before is not done again, and the desk is empty.
    """
    await desk.fail(12)
    (group,) = await desk.service.groups()
    before = len(shop.outside.seen("send"))
    replay = await desk.done(await desk.service.replay(group=group.id, at_once=3))

    assert ("done", {"succeeded": 12}) == (replay.state, replay.counts)
    assert list(range(12)) == sorted(shop.outside.seen("send")[before:])
    assert 0 == await desk.service.count()


async def test_no_more_at_a_time_than_asked_for(desk, shop):
    """
    The throttle holds: three at a time are three at most.
    """
    await desk.fail(12)
    (group,) = await desk.service.groups()
    shop.outside.most_together = 0
    await desk.done(await desk.service.replay(group=group.id, at_once=3))

    assert 3 >= shop.outside.most_together


async def test_from_the_start_with_other_data(desk, shop):
    """
    One run begins anew with what somebody mended by hand.
    """
    (run_id,) = await desk.fail(1, times=99)
    replay = await desk.service.replay(runs=[run_id], start="start", input={"n": "mended"})
    assert {"succeeded": 1} == (await desk.done(replay)).counts

    assert ["first mended", "mended"] == shop.outside.seen("send")[-2:]


async def test_from_the_failed_step_with_other_data(desk, shop):
    """
    What somebody mended by hand arrives at the step that failed; the steps before it are not done again.
    """
    document = a_document(
        [
            a_node("start", "trigger.manual"),
            a_node("note", "test.send", what="note {{ item.n }}"),
            a_node("send", "test.send", what="{{ item.n }}"),
        ],
        "start -> note, start -> send",
    )
    shop.outside.fail["7"] = [ValueError("broken")]
    run = a_run(document, shop.clock, is_test=False, workflow_id=WorkflowId("wf_orders"))
    shop.worker.submit(run, document, [{"n": 7}], keeps_document=True)
    assert RunStatus.FAILED is (await shop.worker.wait(run.id)).status
    before = len(shop.outside.seen("send"))

    replay = await desk.service.replay(runs=[run.id], input={"n": "mended"})

    assert {"succeeded": 1} == (await desk.done(replay)).counts
    assert ["mended"] == shop.outside.seen("send")[before:]


async def test_what_fails_again_comes_back_with_a_link(desk, shop):
    """
    The new failure stands on the desk and names the run that it repeated; the replay tells it.
    """
    (run_id,) = await desk.fail(1, times=2)
    replay = await desk.done(await desk.service.replay(runs=[run_id]))
    assert {"failed": 1} == replay.counts

    (failure,) = await desk.service.list_page()
    (item,) = await desk.service.replay_items(replay.id)
    assert (item.new_run_id, run_id, "open") == (failure.run_id, failure.replay_of, failure.state)
    assert "replaced" == (await desk.service.get(run_id)).state


async def test_a_replay_is_cancelled(desk, shop):
    """
    Nothing more of it begins, and what it had not come to waits for somebody again.
    """
    await desk.fail(5)
    await desk.replayer.stop()
    (group,) = await desk.service.groups()
    replay = await desk.service.replay(group=group.id, at_once=2)
    await desk.replayer.run_once()
    cancelled = await desk.service.cancel_replay(replay.id)

    assert ("cancelled", 3) == (cancelled.state, cancelled.counts["cancelled"])
    with pytest.raises(Conflict):
        await desk.service.cancel_replay(replay.id)
    await until(lambda: len(shop.worker._recent) == 7)
    await shop.store.journal.barrier()
    assert 3 == await desk.service.count()


async def test_a_failure_is_in_one_replay_at_a_time(desk):
    """
    What is being replayed is neither replayed nor put away by somebody else.
    """
    runs = await desk.fail(2)
    await desk.replayer.stop()
    await desk.service.replay(runs=runs)

    for attempt in (desk.service.replay(runs=runs), desk.service.discard(runs=runs, reason="known")):
        with pytest.raises(Conflict):
            await attempt


async def test_what_is_gone_is_skipped(desk, shop):
    """
    A run whose document is no longer kept cannot be repeated: the replay says so, and the failure stays.
    """
    run = a_run(ORDERS, shop.clock, is_test=False, workflow_id=WorkflowId("wf_gone"))
    await shop.store.write(lambda work: work.runs.add(run, input=encode_batch([{}])))
    await shop.worker.run_once()
    replay = await desk.done(await desk.service.replay(runs=[run.id]))

    assert {"skipped": 1} == replay.counts
    (item,) = await desk.service.replay_items(replay.id)
    assert item.note.startswith("There is no version")
    assert "open" == (await desk.service.get(run.id)).state


async def test_the_newest_version_repeats_what_an_old_one_failed_at(desk, shop):
    """
    A replay with the newest version runs what was published since: steps that are the same are not done again, and a step that
    the version does not have any more is left out.
    """
    wf_id = WorkflowId("wf_orders")
    now = shop.clock.now()
    mended = a_document(
        [
            a_node("start", "trigger.manual"),
            a_node("first", "test.send", what="first {{ item.n }}"),
            a_node("post", "test.send", what="posted {{ nodes.start.item.n }}"),
        ],
        "start -> first -> post",
    )
    version = Version(
        id=document_hash(mended), workflow_id=wf_id, document=mended, message="mended", author="ada", created_at=now
    )
    workflow = Workflow(
        id=wf_id,
        name="Orders",
        draft=write_document(ORDERS),
        revision=1,
        active_version=version.id,
        created_at=now,
        updated_at=now,
    )

    def publish(work):
        work.workflows.add(workflow)
        work.workflows.add_version(version)

    (old,) = await desk.fail(1)
    await shop.store.write(publish)
    done = await desk.done(await desk.service.replay(runs=[old], version="newest"))

    assert {"succeeded": 1} == done.counts
    (item,) = await desk.service.replay_items(done.id)
    new = await shop.store.read(lambda work: work.runs.get(item.new_run_id))
    assert (version.id, old) == (new.version_id, new.retry_of)
    assert ["first 0", 0, "posted 0"] == shop.outside.seen("send")


async def test_an_unpublished_draft_is_the_newest_where_there_is_no_version(desk, shop):
    """
    A workflow that was never published is replayed as its draft stands now, and the text stays with the run.
    """
    draft = a_document(
        [a_node("start", "trigger.manual"), a_node("send", "test.send", what="draft {{ item.n }}")], "start -> send"
    )
    now = shop.clock.now()
    workflow = Workflow(
        id=WorkflowId("wf_orders"),
        name="Orders",
        draft=write_document(draft),
        revision=1,
        active_version=None,
        created_at=now,
        updated_at=now,
    )
    (old,) = await desk.fail(1)
    await shop.store.write(lambda work: work.workflows.add(workflow))
    done = await desk.done(await desk.service.replay(runs=[old], version="newest", start="start"))

    (item,) = await desk.service.replay_items(done.id)
    kept = await shop.store.read(lambda work: work.runs.get_document(item.new_run_id))
    assert ({"succeeded": 1}, list(draft.nodes)) == (done.counts, list(kept.nodes))
    assert "draft 0" == shop.outside.seen("send")[-1]


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"group": "cause_1", "runs": ["run_1"]},
        {"group": "cause_1", "start": "start", "input": {}},
        {"runs": ["run_1", "run_2"], "input": {}},
        {"runs": ["run_1"], "at_once": 0},
        {"runs": ["run_1"], "start": "start", "input": [1]},
        {"runs": ["run"] * 1001},
    ],
)
async def test_orders_that_make_no_sense(desk, order):
    """
    Each is refused with a sentence, and nothing is kept.
    """
    with pytest.raises(BadRequest):
        await desk.service.replay(**order)
    assert [] == await desk.service.replays()


async def test_a_replay_goes_on_after_a_crash(make_workshop, tmp_path, outside):
    """
    The program ends again and again in the middle of a replay, without a word: every failure is repeated once.
    """
    where = f"sqlite:///{tmp_path}/treadle.db"
    shop = await make_workshop(where)
    desk = Desk(shop)
    await desk.fail(20)
    (group,) = await desk.service.groups()
    replay = await desk.service.replay(group=group.id, at_once=3)
    for _ in range(6):
        serving = asyncio.create_task(desk.replayer.run_once())
        await asyncio.sleep(0.003)
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        await shop.worker.stop()
        await shop.store.stop()
        shop = await make_workshop(where)
        desk = Desk(shop)
    await desk.replayer.start()
    ended = await desk.done(replay)
    await desk.replayer.stop()

    assert {"succeeded": 20} == ended.counts
    runs = await shop.store.read(lambda work: work.runs.list_page(RunFilter(limit=1000)))
    assert 20 == len([run for run in runs if run.retry_of is not None])
    assert 0 == await desk.service.count()
    await shop.worker.stop()
    await shop.store.stop()


@pytest.mark.alone
async def test_ten_thousand_failures(shop):
    """
    With ten thousand on the desk in fifty groups the list takes a twentieth of a second, and putting them away is one breath.
    """
    await put_on_desk(shop.store, shop.clock, 10_000, groups=50)
    desk = Desk(shop)
    took = []
    for _ in range(5):
        began = time.process_time()
        groups = await shop.store.read(lambda work: work.failures.list_groups(FailureFilter()))
        took.append(time.process_time() - began)
    assert (50, 10_000) == (len(groups), sum(group.count for group in groups))
    assert 0.05 >= min(took), took
    replay = Replay(id="replay_1", group_id=groups[0].id, created_at=shop.clock.now(), created_by="ada")
    assert 200 == await shop.store.write(lambda work: work.replays.add(replay, None))
    action, count = await desk.service.discard(group=groups[1].id, reason="known")
    assert (200, 200) == (count, await desk.service.undo(discard=action))
