"""What every test may lean on."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault of the code: time is measured by benchmarks, not by examples.
# The same examples each time, so that a change is judged by what it changed; TREADLE_EXAMPLES=random looks for new ones.
settings.register_profile(
    "treadle",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("TREADLE_EXAMPLES") != "random",
)
settings.load_profile("treadle")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Whole files go to one worker, in their order, because they share servers and browsers; of the histories each part."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return nodeid if file.endswith("test_histories.py") else file

    return ByFile(config, log)


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on plain asyncio, which is what a Windows user has."""
    return "asyncio"


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """No coverage meanwhile: for tests of so many examples that tracing each of their lines would take most of the time."""
    trace = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(trace)
