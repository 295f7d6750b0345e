"""What every test may lean on."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on plain asyncio, which is what a Windows user has."""
    return "asyncio"
