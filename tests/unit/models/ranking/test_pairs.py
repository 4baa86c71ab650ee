"""Clicks to pairs."""

import pytest

from models.errors import UsageError
from models.ranking.pairs import Pair, pairs_from_click

PAGE = ["a", "b", "c", "d", "e"]


def test_a_click_beats_what_was_skipped_above_and_the_next_below() -> None:
    assert pairs_from_click(PAGE, "c") == [Pair("c", "a"), Pair("c", "b"), Pair("c", "d")]
    assert pairs_from_click(PAGE, "a") == [Pair("a", "b")]
    assert [pair.over for pair in pairs_from_click(PAGE, "e")] == ["a", "b", "c", "d"]


def test_other_clicks_on_the_page_are_not_skipped() -> None:
    assert pairs_from_click(PAGE, "c", also_clicked={"a"}) == [Pair("c", "b"), Pair("c", "d")]


def test_a_picture_shown_twice_is_skipped_once() -> None:
    assert pairs_from_click(["a", "a", "b"], "b") == [Pair("b", "a")]


def test_propensities_weigh_by_who_looked() -> None:
    pairs = pairs_from_click(PAGE, "c", [1.0, 0.8, 0.5, 0.25, 0.01])
    assert {pair.over: pair.weight for pair in pairs} == {"a": 2.0, "b": 1.6, "d": 0.5, "e": 0.02}


def test_one_click_far_down_never_outweighs_ten() -> None:
    assert pairs_from_click(["a", "b"], "b", [1.0, 0.001])[0].weight == 10.0


def test_refuses_what_does_not_belong_together() -> None:
    with pytest.raises(UsageError):
        pairs_from_click(PAGE, "z")
    for propensities in ([1.0], [1.0, 0.5, 0.0, 0.1, 0.1], [1.0, 2.0, 0.5, 0.5, 0.5]):
        with pytest.raises(UsageError):
            pairs_from_click(PAGE, "a", propensities)
