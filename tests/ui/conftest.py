"""The stage on which the studio's pages are tried."""

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

# Test files are imported by path (no packages under tests/), so the stage is brought in by its path as well.
spec = importlib.util.spec_from_file_location("studio_stage", Path(__file__).with_name("studio_stage.py"))
assert spec is not None
assert spec.loader is not None
studio_stage = importlib.util.module_from_spec(spec)
sys.modules.setdefault("studio_stage", studio_stage)
spec.loader.exec_module(studio_stage)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Any]:
    async with studio_stage.a_stage(tmp_path) as stage:
        yield stage
