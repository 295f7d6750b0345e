"""A bench to try single steps on: real fields, real expressions, a real file store, no engine."""

import asyncio
import inspect
import logging
from dataclasses import replace

import pytest

from engine.clock import ManualClock
from engine.model.items import Output
from engine.steps.builtin import builtin_steps
from engine.steps.catalog import Catalog
from engine.steps.computed import bind_fields
from engine.steps.contract import BatchCall, Context
from engine.store.blobs import BlobStore

CATALOG = Catalog(builtin_steps())


class NoHttp:
    """Nobody calls out from here."""

    async def request(self, method, url, **options):
        raise AssertionError("a core step must not call out")


class Bench:
    """Calls steps by name with fields as a workflow would write them."""

    def __init__(self, ctx):
        self.ctx = ctx
        self.folder = ctx.folder

    def bind(self, name, fields, *, item=None, items=(), **scope):
        whole = {
            "item": item,
            "items": list(items),
            "index": 0,
            "$now": self.ctx.clock.now,
            "$timezone": "Europe/Vienna",
            **scope,
        }
        return bind_fields(CATALOG.get(name), fields, whole)

    def raw(self, name, fields, items=None, /, **ports):
        """Return exactly what a batch action hands back."""
        ports = ports or {"in": items if items is not None else [{}]}
        first = next(iter(ports.values()))
        bound = self.bind(name, fields, item=first[0] if first else None, items=first)
        result = CATALOG.get(name).call(BatchCall(ports=ports, ctx=self.ctx), **bound)
        return asyncio.run(result) if inspect.isawaitable(result) else result

    def ports(self, name, fields, items=None, /, **ports):
        """Return the outputs by port."""
        result = self.raw(name, fields, items, **ports)
        return {"out": result} if isinstance(result, Output) else dict(result)

    def out(self, name, fields, items=None, /, **ports):
        """Return the items at `out`."""
        return self.ports(name, fields, items, **ports)["out"].items

    def each(self, name, fields, item=None):
        """Call an each action for one item."""
        bound = self.bind(name, fields, item=item or {}, items=[item or {}])
        return asyncio.run(CATALOG.get(name).call(self.ctx, **bound))

    def keep(self, data, name="data.bin", media_type="application/octet-stream"):
        """Put bytes into the file store."""
        return asyncio.run(self.ctx.files.keep(data, name=name, media_type=media_type))

    def bytes_of(self, file):
        with self.ctx.files.open(file) as stream:
            return stream.read()

    def at(self, folder):
        return Bench(replace(self.ctx, folder=folder))


@pytest.fixture
def bench(tmp_path):
    clock = ManualClock()
    (tmp_path / "own").mkdir()
    return Bench(
        Context(
            http=NoHttp(),
            clock=clock,
            log=logging.LoggerAdapter(logging.getLogger("steps")),
            files=BlobStore(tmp_path / "blobs"),
            folder=tmp_path / "own",
            now=clock.now(),
            run_id="run_1",
            node_id="node",
        )
    )
