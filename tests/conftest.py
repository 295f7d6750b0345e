"""What every test may lean on."""

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault of the code: time is measured by benchmarks, not by examples.
settings.register_profile("treadle", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("treadle")


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on plain asyncio, which is what a Windows user has."""
    return "asyncio"
