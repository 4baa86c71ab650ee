"""Results that are unlike each other: chosen among those that come first, then among the others."""

import numpy as np

from search.pages.diverse import pick, pick_first

ALIKE = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], np.float32)
SCORES = [0.9, 0.89, 0.5, 0.4]


def test_what_comes_first_stays_before_what_does_not_however_diverse():
    assert pick(SCORES, ALIKE, 2, 0.9)[1] != 1  # the twin is left out
    assert pick_first([True, True, False, False], SCORES, ALIKE, 3, 0.9)[:2] == [0, 1]
    assert set(pick_first([False, True, False, True], SCORES, ALIKE, 2, 0.9)) == {1, 3}


def test_without_any_that_come_first_it_is_the_same():
    assert pick_first([False] * 4, SCORES, ALIKE, 3, 0.5) == list(pick(SCORES, ALIKE, 3, 0.5))
