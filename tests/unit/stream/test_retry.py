"""Waiting for a neighbour."""

import threading

import pytest

from models.errors import (
    ConfigurationError,
    DecodeError,
    FatalError,
    InfrastructureError,
    MekikiError,
    StorageUnavailableError,
)
from stream.retry import FIRST_WAIT_S, LONGEST_WAIT_S, StoppedError, until_available


class Clock(threading.Event):
    """An event on which nobody really waits; set after `stop_after` waits."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._stop_after = stop_after

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if len(self.waits) == self._stop_after:
            self.set()
        return self.is_set()


def failing(times: int, error: Exception):
    left = [times]

    def attempt() -> str:
        if left[0]:
            left[0] -= 1
            raise error
        return "done"

    return attempt


def test_answers_at_once_where_nothing_fails():
    clock = Clock()
    assert until_available(failing(0, InfrastructureError()), clock, what="index") == "done"
    assert clock.waits == []


@pytest.mark.parametrize("error", [InfrastructureError("x"), StorageUnavailableError("x")])
def test_waits_for_a_neighbour_that_comes_back(error):
    clock = Clock()
    assert until_available(failing(20, error), clock, what="index") == "done"
    assert len(clock.waits) == 20


def test_waits_grow_to_a_limit_each_between_half_and_whole():
    clock = Clock()
    until_available(failing(12, InfrastructureError()), clock, what="index")
    for number, waited_s in enumerate(clock.waits):
        whole_s = min(FIRST_WAIT_S * 2**number, LONGEST_WAIT_S)
        assert whole_s / 2 <= waited_s <= whole_s


@pytest.mark.parametrize("error", [DecodeError("x"), FatalError("x"), ConfigurationError("x"), ValueError("x")])
def test_other_errors_are_not_waited_out(error):
    clock = Clock()
    with pytest.raises(type(error)):
        until_available(failing(1, error), clock, what="index")
    assert clock.waits == []


def test_stops_when_asked_to_and_says_what_it_waited_for():
    with pytest.raises(StoppedError, match="index"):
        until_available(failing(10**9, InfrastructureError()), Clock(stop_after=3), what="index")


def test_one_attempt_is_made_even_when_stopping():
    clock = Clock()
    clock.set()
    assert until_available(failing(0, InfrastructureError()), clock, what="index") == "done"
    with pytest.raises(StoppedError):
        until_available(failing(1, InfrastructureError()), clock, what="index")


def test_being_stopped_is_no_failure_of_ours():
    assert not issubclass(StoppedError, MekikiError)
