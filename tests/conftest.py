"""What every kind of test may ask for."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from stripe_mock_binary import mock_binary

# The machine is shared: how long an example takes says nothing about the code.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def stripe_mock() -> str:
    """Give the path of a stripe-mock, or skip the test by name."""
    return mock_binary()
