"""Waiting for one thing that a person asked for."""

import pytest

from admin.people.importing.waiting import until
from models.errors import InfrastructureError


def test_what_comes_is_given_at_once_and_otherwise_after_some_looks():
    looks = iter([None, [], "there"])
    assert until(lambda: next(looks), 60, "image 'a'") == "there"


def test_what_does_not_come_in_time_is_said_with_what_to_look_at():
    with pytest.raises(InfrastructureError, match="image 'a': the log has it within 0 s; `mekiki status` shows who"):
        until(lambda: False, 0, "image 'a': the log has it")
