"""What the tests of the ingest worker share."""

import pytest

from tests.unit.stream.ingest.rig import Rig


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch):
    """A neighbour that is away is asked again at once."""
    monkeypatch.setattr("stream.retry.FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("stream.retry.LONGEST_WAIT_S", 0.001)
    monkeypatch.setattr("stream.ingest.pipeline.AWAY_S", 0.001)


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)
