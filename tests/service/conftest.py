"""A Treadle on a throw-away store for each story."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.build import Treadle
from engine.service import Studio
from tests.run.workshop import Outside
from tests.service.workbench import a_treadle, owner_of


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
async def treadle(tmp_path: Path, outside: Outside) -> AsyncIterator[Treadle]:
    treadle = a_treadle(tmp_path, outside)
    await treadle.start(triggers=False)
    yield treadle
    await treadle.stop()


@pytest.fixture
def studio(treadle: Treadle) -> Studio:
    return owner_of(treadle)
