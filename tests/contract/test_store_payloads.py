"""What the store promises about large data, on every store."""

import os
import random
from datetime import timedelta

import pytest
from sqlalchemy import text

from engine.errors import StoreError
from engine.model.run import RunStatus
from engine.run.payloads import encode_batch
from engine.store.payloads import COMPRESS_FROM, COMPRESSED, KEEP_FROM, KEPT, KEPT_COMPRESSED, PLAIN

pytestmark = pytest.mark.anyio

NOISE = random.Random(7).randbytes(KEEP_FROM + 1)
"""Bytes that compression cannot make smaller."""


def rows(store, sql):
    with store.database.gate, store.database.reader.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


async def kept(store, make, payload):
    run = make.run(RunStatus.RUNNING)
    store.journal.start(run, input=payload)
    store.journal.append(make.fact(run.id, payload=payload), epoch=0)
    await store.journal.barrier()
    return run


@pytest.mark.parametrize(
    ("payload", "form"),
    [
        pytest.param(b"", PLAIN, id="empty"),
        pytest.param(b"x" * (COMPRESS_FROM - 1), PLAIN, id="just too small to compress"),
        pytest.param(b"x" * COMPRESS_FROM, COMPRESSED, id="just large enough to compress"),
        pytest.param(NOISE[:COMPRESS_FROM], PLAIN, id="compression gains nothing"),
        pytest.param(NOISE[: KEEP_FROM - 1], PLAIN, id="just small enough for the table"),
        pytest.param(NOISE[:KEEP_FROM], KEPT, id="just large enough for a file of its own"),
        pytest.param(NOISE[:1024] * 2000, COMPRESSED, id="large, but small when compressed"),
        pytest.param((NOISE * 4)[: 4 * KEEP_FROM] + b"x" * KEEP_FROM, KEPT_COMPRESSED, id="large even when compressed"),
    ],
)
async def test_payloads_come_back_as_they_were(store, make, payload, form):
    """
    Whether a batch lies in the table, compressed, or in a file: who reads does not notice.
    """
    run = await kept(store, make, payload)

    assert payload == await store.read(lambda work: work.runs.payload(run.id, 0))
    assert payload == await store.read(lambda work: work.runs.get_input(run.id))
    assert [payload] == [fact.payload for fact in await store.read(lambda work: work.runs.facts(run.id, with_payload=True))]
    assert [(form,)] == rows(store, "SELECT payload_form FROM facts")
    assert [(form,)] == rows(store, "SELECT payload_form FROM inputs")


async def test_large_firings_and_queued_inputs_come_back(store, make):
    """
    The slow ways in keep large data by the same rules.
    """
    firing, run = make.firing(payload=NOISE), make.run()
    await store.write(lambda work: (work.firings.accept(firing), work.runs.add(run, input=NOISE)))

    assert [firing] == await store.read(lambda work: work.firings.list_waiting())
    assert (firing, False) == await store.write(lambda work: work.firings.accept(firing))
    assert NOISE == await store.read(lambda work: work.runs.get_input(run.id))


async def test_equal_large_batches_lie_once(store, make):
    """
    Ten runs with the same megabyte take one megabyte.
    """
    for _ in range(10):
        await kept(store, make, NOISE)

    assert len(NOISE) == store.blobs.total_size()


async def test_lost_bytes_are_told(store, make):
    """
    When a file is gone or was changed, reading says so instead of giving something else.
    """
    run = await kept(store, make, NOISE)
    (path,) = [path for path in store.blobs.folder.rglob("*") if path.is_file()]
    path.write_bytes(NOISE[:-1] + b"?")
    with pytest.raises(StoreError, match="damaged"):
        await store.read(lambda work: work.runs.payload(run.id, 0))

    assert [] == await store.check()
    path.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        await store.read(lambda work: work.runs.payload(run.id, 0))
    assert [f"1 files that runs need are gone from {store.blobs.folder}, such as {path.name}."] == await store.check()


async def test_a_sweep_removes_only_what_nobody_needs(store, make, clock):
    """
    Bytes go when the last run that names them is gone, files handed out in items included, and never within a day.
    """
    used = await store.blobs.keep(b"in an item", name="a.txt", media_type="text/plain")
    unused = await store.blobs.keep(b"nobody's", name="b.txt", media_type="text/plain")
    plain = f'[{{"file": {{"$file":"{used.hash}","name":"a.txt"}}}}]'.encode()
    listed = await store.blobs.keep(b"in a batch", name="d.txt", media_type="text/plain")
    encoded = encode_batch([{"file": listed}])
    runs = [await kept(store, make, payload) for payload in (NOISE, plain, encoded)]
    young = await store.blobs.keep(b"just now", name="c.txt", media_type="text/plain")
    now = clock.now().timestamp()
    for path in store.blobs.folder.glob("??/*"):
        age = 0 if path.name == young.hash else timedelta(days=2).total_seconds()
        os.utime(path, (now - age, now - age))

    assert (1, len(b"nobody's")) == await store.sweep_blobs()
    assert store.blobs.path(used).read_bytes() == b"in an item"
    assert store.blobs.path(listed).read_bytes() == b"in a batch"
    with pytest.raises(Exception, match=r"b\.txt"):
        store.blobs.open(unused)

    for run in runs:
        store.journal.finish(make.run(RunStatus.SUCCEEDED, id=run.id))
    await store.journal.barrier()
    await store.write(lambda work: work.runs.prune(before=clock.now() + timedelta(seconds=1)))
    assert (3, len(NOISE) + len(b"in an item") + len(b"in a batch")) == await store.sweep_blobs()
    assert store.blobs.path(young).read_bytes() == b"just now"
