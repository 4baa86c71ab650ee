"""What the tests of the learners share."""

import itertools

import pytest


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch):
    """A neighbour that is away is asked again at once."""
    monkeypatch.setattr("stream.retry.FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("stream.retry.LONGEST_WAIT_S", 0.001)


@pytest.fixture
def die_before_save():
    """Lets the process of a worker end before its n-th checkpoint: what it learned last is not saved."""

    def arrange(worker, number):
        counted, save = itertools.count(1), worker.checkpoint_if_due

        def dying(now_s):
            if next(counted) == number:
                raise KeyboardInterrupt
            save(now_s)

        worker.checkpoint_if_due = dying

    return arrange
