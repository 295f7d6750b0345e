"""What every test may lean on."""

import os
import sys
from collections.abc import Iterator

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


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a fixture of their module, a browser or a server, go to one worker, in their order."""
    for item in items:
        fixtures = getattr(item, "_fixtureinfo", None)
        if fixtures and any(found[-1].scope == "module" for found in fixtures.name2fixturedefs.values()):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


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
