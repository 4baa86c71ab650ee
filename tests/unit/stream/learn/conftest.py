"""What the tests of the learners share."""

import pytest


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch):
    """A neighbour that is away is asked again at once."""
    monkeypatch.setattr("stream.retry.FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("stream.retry.LONGEST_WAIT_S", 0.001)
