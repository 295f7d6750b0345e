"""Finding runs by their words, on every store."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.errors import BadRequest
from engine.ids import NodeId, RunId, WorkflowId
from engine.maintenance.indexer import Indexer
from engine.model.items import Output
from engine.model.run import FactKind, RunStatus
from engine.protocols import Found, RunFilter
from engine.run.payloads import encode_batch, encode_outputs

pytestmark = pytest.mark.anyio
DONE, FAILED = RunStatus.SUCCEEDED, RunStatus.FAILED


@pytest.fixture
def keep(store, make, clock):
    """Keep a run with an input, an output and a line of its log."""

    async def keep(given, output, line="", status=DONE, **more):
        clock.advance(timedelta(milliseconds=3))
        run = make.run(status, **more)
        await store.write(lambda work: work.runs.add(run, input=encode_batch([given])))
        payload, _ = encode_outputs({"out": Output([output])})
        store.journal.append(make.fact(run.id, payload=payload, summary={"ports": {"out": 1}}), epoch=0)
        if line:
            store.journal.append(make.fact(run.id, 1, kind=FactKind.LOGGED, payload=None, summary={"text": line}), epoch=0)
        await store.journal.barrier()
        return run

    return keep


@pytest.fixture
def find(store):
    async def find(search, **more):
        return [run.id for run in await store.read(lambda work: work.runs.list_page(RunFilter(search=search, **more)))]

    return find


async def test_what_can_be_found(store, clock, keep, find):
    """
    Words of inputs, outputs, logs and errors; all of them, phrases, beginnings, and what must not be there; newest first.
    """
    first = await keep({"customer": "Müller & Söhne", "order": 4711}, {"total": 12.5, "city": "Graz"}, "sent to warehouse")
    second = await keep(
        {"customer": "Mayer"},
        {"note": "line one\nline two"},
        status=FAILED,
        error={"code": "x", "message": "connection refused"},
    )
    assert [] == await find("mayer")
    assert 2 == await Indexer(store, clock).run_once()
    assert 0 == await Indexer(store, clock).run_once()
    for search, expected in (
        ("müller", [first.id]),
        ("MÜLLER graz", [first.id]),
        ("müller mayer", []),
        ("warehouse", [first.id]),
        ("4711", [first.id]),
        ("refused", [second.id]),
        ("customer", [second.id, first.id]),
        ("custom*", [second.id, first.id]),
        ('"line two"', [second.id]),
        ('"two line"', []),
        ("customer -graz", [second.id]),
        ("overdue", [second.id, first.id]),
    ):
        assert expected == await find(search), search
    assert [second.id] == await find("customer", statuses=(FAILED,))
    assert [first.id] == await find("customer", before=second.id)
    assert [second.id] == await find("customer", limit=1)
    assert [] == await find("customer", workflow_id=WorkflowId("wf_other"))
    assert [] == await find("customer", since=clock.now() + timedelta(days=1))
    with pytest.raises(BadRequest, match="no word"):
        await find('" -')


@pytest.mark.parametrize(
    "odd",
    ['"', "a AND OR NOT", "words:x", "* ^a", "NEAR(a b)", "a' OR 1=1 --", "{x} : y", "(((", "a\\", "&|!", "'x':*", "ü" * 600],
)
async def test_odd_searches_break_nothing(keep, find, odd):
    """
    What means something to the database is plain words here.
    """
    if not any(letter.isalnum() for letter in odd):
        with pytest.raises(BadRequest, match="no word"):
            await find(odd)
    else:
        assert [] == await find(odd)


async def test_an_open_run_is_found_once_it_is_over(store, clock, make, keep, find):
    """
    The indexer passes it, remembers it, and comes back; also in its next life.
    """
    run = await keep({"word": "lantern"}, {}, status=RunStatus.WAITING)
    assert 0 == await Indexer(store, clock).run_once()
    clock.advance(timedelta(hours=1))
    later = await keep({"word": "candle"}, {})
    assert 1 == await Indexer(store, clock).run_once()
    await store.write(lambda work: work.runs.request_cancel(run.id))
    clock.advance(timedelta(hours=1))
    assert 1 == await Indexer(store, clock).run_once()
    assert ([run.id], [later.id]) == (await find("lantern"), await find("candle"))


async def test_runs_whose_ids_begin_alike_get_documents_of_their_own(store, clock, make, find):
    """
    A document's number is made from the beginning of the run's id; where several runs share it, in one lot or over several,
    each is found by its own words.
    """
    ids = [f"run_{0x1234:012x}{'00000000000'}{end}" for end in "abcde"]
    runs = [replace(make.run(DONE), id=RunId(run_id)) for run_id in ids]
    for lot in (runs[:2], runs[2:]):

        def fill(work, lot=lot):
            for run in lot:
                work.runs.add(run, input=encode_batch([{"word": f"word{run.id[-1]}"}]))
            found = [Found(run_id=run.id, workflow="", status="succeeded", words=f"word{run.id[-1]}") for run in lot]
            work.search.keep([*found, found[0]], late=(), settled=(), cursor=None)

        await store.write(fill)
    assert [[run_id] for run_id in ids] == [await find(f"word{run_id[-1]}") for run_id in ids]


async def test_words_go_with_the_data(store, clock, keep, find):
    """
    When the data is removed, or the run, nothing can be found any more.
    """
    runs = [await keep({"word": "lantern"}, {}) for _ in range(3)]
    await Indexer(store, clock).run_once()
    await store.write(lambda work: work.retention.drop_data([runs[0].id], at=clock.now()))
    await store.write(lambda work: work.retention.remove([runs[1].id]))
    assert [runs[2].id] == await find("lantern")
    clock.advance(timedelta(hours=1))
    await Indexer(store, clock).run_once()
    assert [runs[2].id] == await find("lantern")


async def test_large_batches_are_read_at_their_beginning(store, clock, make, keep, find):
    """
    Of what is compressed or kept outside the first part is looked at, and no more.
    """
    noise = [f"{random.Random(number).getrandbits(200):x}" for number in range(20_000)]
    run = await keep({"word": "lantern", "many": noise}, {"word": "candle", "many": noise[:200], "last": "umbrella"})
    await Indexer(store, clock).run_once()
    assert [run.id] == await find("lantern") == await find("candle")
    assert [] == await find("umbrella")


async def test_a_clock_that_is_set_back_loses_nothing(store, clock, make, keep, find):
    """
    Runs whose ids lie behind what was walked already are found all the same.
    """
    await keep({"word": "lantern"}, {})
    indexer = Indexer(store, clock)
    await indexer.run_once()
    clock.advance(timedelta(hours=-1))
    back = await keep({"word": "candle"}, {})
    await indexer.run_once()
    assert [back.id] == await find("candle")


async def test_a_life_that_ends_in_the_middle(store, clock, keep, find, monkeypatch):
    """
    What was not kept is taken in by the next life, nothing twice.
    """
    monkeypatch.setattr("engine.maintenance.indexer.MOST_WORDS", 200)
    runs = [await keep({"word": "lantern", "no": number}, {}) for number in range(20)]
    indexer = Indexer(store, clock)
    write, left = store.write, [5]

    async def dying(change):
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("power cut")
        return await write(change)

    monkeypatch.setattr(store, "write", dying)
    with pytest.raises(RuntimeError):
        await indexer.run_once()
    monkeypatch.setattr(store, "write", write)
    known = len(await find("lantern", limit=100))
    assert 0 < known < 20
    assert 20 - known == await Indexer(store, clock).run_once()
    assert [run.id for run in reversed(runs)] == await find("lantern", limit=100)


async def test_other_filters(store, clock, make):
    """
    By how it was started, by the key of its event, and by how long it took.
    """
    firing = make.firing(key="order-7")
    await store.write(lambda work: work.firings.accept(firing))
    now = clock.now()
    slow = make.run(DONE, trigger="webhook", firing_id=firing.id, finished_at=now + timedelta(seconds=5))
    quick = make.run(DONE, trigger="manual", start_node=NodeId("a"))
    for run in (slow, quick):
        await store.write(lambda work, run=run: work.runs.add(run, input=b"[]"))
    for given, expected in (
        ({"trigger": "webhook"}, slow),
        ({"key": "order-7"}, slow),
        ({"took_at_least": timedelta(seconds=5)}, slow),
        ({"took_at_most": timedelta(seconds=1)}, quick),
    ):
        found = await store.read(lambda work, given=given: work.runs.list_page(RunFilter(**given)))
        assert [expected.id] == [run.id for run in found], given
