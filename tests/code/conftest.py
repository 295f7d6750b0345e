"""A pool of cages for each story, and a short way to run code in it."""

import logging
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from engine.code.packages import Packages
from engine.code.pool import CodePool
from engine.steps.code import CodeJob
from engine.store.blobs import BlobStore


class Prints(logging.LoggerAdapter):
    """Keeps what was printed."""

    def __init__(self):
        super().__init__(logging.getLogger("code"), {})
        self.lines = []

    def log(self, level, message, *args, **options):
        self.lines.append(str(message) % args)


@dataclass
class Cage:
    """Runs code as the step does, and keeps what it printed."""

    pool: CodePool
    files: BlobStore
    log: Prints = field(default_factory=Prints)

    async def result(self, source, items=({},), *, owner="wf_1", **options):
        """Run code over items; 5 seconds are enough unless said otherwise."""
        options = {"per": "item", "limit": timedelta(seconds=5), **options}
        job = CodeJob(source=source, items=list(items), **options)
        return await self.pool.run(job, owner=owner, log=self.log, files=self.files)

    async def items(self, source, items=({},), **options):
        """Return the items that came back; the first failure of one is raised."""
        result = await self.result(source, items, **options)
        for error in result.failed.values():
            raise error
        return result.items

    @property
    def prints(self):
        return self.log.lines


@pytest.fixture
async def make_cage(tmp_path):
    made = []

    def make(**options):
        allows = options.pop("allows_packages", False)
        pool = CodePool(tmp_path / "cages", Packages(tmp_path / "packages", is_allowed=allows), **options)
        made.append(pool)
        return Cage(pool, BlobStore(tmp_path / "blobs"))

    yield make
    for pool in made:
        await pool.stop()


@pytest.fixture
async def cage(make_cage):
    return make_cage()
