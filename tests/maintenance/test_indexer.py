"""The search's indexer beside runs that are busy."""

import asyncio
from time import perf_counter

import pytest

from engine.clock import SystemClock
from engine.maintenance import indexer
from engine.maintenance.indexer import Indexer
from engine.store import open_store

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("written", "least", "most"), [(10_000, 0.9, 5.0), (3, 0.0, 0.0)])
async def test_it_takes_a_twentieth_of_the_time_while_runs_are_busy(tmp_path, monkeypatch, written, least, most):
    """
    After a turn of 50 ms it rests for 950 ms where runs wrote much in the meantime, and not at all where they did not.
    """
    rests = []

    async def rest(seconds):
        rests.append(seconds)

    monkeypatch.setattr(indexer, "perf_counter", lambda: at)
    at = perf_counter()
    async with open_store("sqlite://", clock=SystemClock(), blobs_dir=tmp_path) as store:
        search = Indexer(store, SystemClock())
        began, committed = search._begin_turn()
        at += 0.05
        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "sleep", rest)
            await search._let_others((began, committed - written))
    assert len(rests) == 1
    assert least <= rests[0] <= most
