"""Services start in order and stop in reverse, also when one of them does not."""

import asyncio
import logging

import pytest

from app.lifecycle import Lifecycle

pytestmark = pytest.mark.anyio


class Part:
    """A service that tells what is done with it."""

    def __init__(self, name, told, *, starting=None, stopping=None):
        self.name, self.told, self.starting, self.stopping = name, told, starting, stopping

    async def start(self):
        self.told.append(f"start {self.name}")
        if self.starting:
            raise self.starting

    async def stop(self):
        self.told.append(f"stop {self.name}")
        if self.stopping:
            raise self.stopping


async def test_in_order_and_in_reverse():
    """
    Each stands on those before it, so they go in the other direction; stopping twice is harmless.
    """
    told = []
    life = Lifecycle()
    await life.start([Part("store", told), Part("worker", told), Part("triggers", told)])
    await life.stop()
    await life.stop()
    assert ["start store", "start worker", "start triggers", "stop triggers", "stop worker", "stop store"] == told


@pytest.mark.parametrize("error", [RuntimeError("no"), asyncio.CancelledError(), KeyboardInterrupt()], ids=repr)
async def test_one_that_does_not_start(error):
    """
    Those before it are stopped again, it itself is not, and its own error goes on.
    """
    told = []
    life = Lifecycle()
    with pytest.raises(type(error)):
        await life.start([Part("store", told), Part("worker", told, starting=error), Part("triggers", told)])
    assert ["start store", "start worker", "stop store"] == told
    await life.stop()
    assert 3 == len(told)


async def test_one_that_does_not_stop_is_logged(caplog):
    """
    The others are stopped all the same.
    """
    told = []
    life = Lifecycle()
    await life.start([Part("store", told), Part("worker", told, stopping=RuntimeError("stuck")), Part("triggers", told)])
    with caplog.at_level(logging.ERROR):
        await life.stop()
    assert ["stop triggers", "stop worker", "stop store"] == told[3:]
    (record,) = caplog.records
    assert ("a service did not stop", "Part") == (record.message, record.service)


async def test_a_cancellation_while_stopping_comes_last():
    """
    All services are stopped first, then the cancellation is passed on.
    """
    told = []
    life = Lifecycle()
    await life.start([Part("store", told), Part("worker", told, stopping=asyncio.CancelledError())])
    with pytest.raises(asyncio.CancelledError):
        await life.stop()
    assert ["stop worker", "stop store"] == told[2:]
