"""What every kind of test may ask for."""

from __future__ import annotations

import pytest
from stripe_mock_binary import mock_binary


@pytest.fixture(scope="session")
def stripe_mock() -> str:
    """Give the path of a stripe-mock, or skip the test by name."""
    return mock_binary()
