"""When the tagger's next version goes out, and how much of it is brought up to date; times in seconds."""

import pytest

from stream.learn.refresh import AGAIN_S, FULL_S, LATE_PAUSE_S, MAX_PAUSE_S, WORK_SHARE, RefreshSchedule

INTERVAL_S = 0.2


@pytest.fixture
def schedule():
    """A version went out at 100, at no cost."""
    schedule = RefreshSchedule(INTERVAL_S)
    schedule.published(100.0, 0.0, partial=False, unpublished=True)
    return schedule


def test_what_is_new_goes_out_after_the_interval(schedule):
    assert schedule.due_at_s(unpublished=True, behind_s=0.0) == 100.0 + INTERVAL_S


@pytest.mark.parametrize(("cost_s", "behind_s", "pause_s"), [
    (0.01, 0.0, 0.01 / WORK_SHARE),  # publishing takes so large a share of the time at most
    (5.0, 0.0, MAX_PAUSE_S),  # but a new tag is served within a second
    (5.0, 3.0, 3.0),  # unless what is learned is old anyway
    (5.0, 1_000.0, LATE_PAUSE_S),
])  # fmt: skip
def test_what_costs_much_goes_out_less_often(schedule, cost_s, behind_s, pause_s):
    schedule.published(100.0, cost_s, partial=True, unpublished=True)
    assert schedule.due_at_s(unpublished=True, behind_s=behind_s) == pytest.approx(100.0 + pause_s)


def test_after_the_last_example_there_is_one_more_version_and_then_none(schedule):
    assert schedule.due_at_s(unpublished=False, behind_s=0.0) == 100.0 + AGAIN_S
    schedule.published(101.0, 0.0, partial=False, unpublished=False)
    assert schedule.due_at_s(unpublished=False, behind_s=0.0) is None


def test_only_versions_between_two_full_ones_are_partial(schedule):
    assert schedule.is_partial(100.0 + FULL_S - 0.1, unpublished=True)
    assert not schedule.is_partial(100.0 + FULL_S, unpublished=True)
    assert not schedule.is_partial(100.5, unpublished=False)  # the one more: nothing is in a hurry


def test_an_operation_makes_the_next_version_full(schedule):
    schedule.full_next()
    assert not schedule.is_partial(100.5, unpublished=True)
    schedule.published(101.0, 0.0, partial=False, unpublished=True)
    assert schedule.is_partial(101.5, unpublished=True)
