"""Which classifier a tag has: the shared one, later one of its own, which survives a restart and goes with its tag."""

import numpy as np

from models.tagging.calibration.calibrators import OWN_AFTER, Calibrators
from models.tagging.calibration.classifiers import WARM_START, Classifiers, state_of
from models.tagging.calibration.log_odds import NUMBERS, features_of


def feed(calibrators: Calibrators, row: int, count: int, seed: int = 0) -> None:
    """Let the tag in `row` learn so many positives, and as many negatives."""
    random = np.random.default_rng(seed)
    for index in range(2 * count):
        features = features_of(*random.normal(0.1 * row, 0.3, 2), 0.05)
        calibrators.learn(row, features, index % 2 == 0, 1.0)


def calibrators() -> Calibrators:
    return Calibrators(Classifiers())


def test_a_tag_shares_a_classifier_until_it_has_learned_enough() -> None:
    one = calibrators()
    assert np.array_equal(one.array(3), np.tile(WARM_START[:NUMBERS], (3, 1)))
    feed(one, 1, OWN_AFTER - 1)
    assert not one.own
    feed(one, 1, 5)
    table = one.array(3)
    assert list(one.own) == [1]
    assert np.array_equal(table[0], table[2]) and np.array_equal(table[0], state_of(one.shared)[:NUMBERS])
    assert np.array_equal(table[1], state_of(one.own[1])[:NUMBERS]) and not np.array_equal(table[0], table[1])


def test_after_a_restart_tags_have_their_own_at_once_and_learn_on_to_the_bit() -> None:
    one, again = calibrators(), calibrators()
    feed(one, 1, OWN_AFTER + 10)
    feed(one, 4, OWN_AFTER - 10)
    again.restore_shared(state_of(one.shared))
    for row in (1, 4):
        again.load(row, *one.dump(row))
    assert (one.dump(1)[1] is not None, one.dump(4)) == (True, (OWN_AFTER - 10, None))
    assert np.array_equal(again.array(6), one.array(6))
    for each in (one, again):
        feed(each, 1, 20, seed=1)
        feed(each, 4, 20, seed=2)
    assert sorted(again.own) == sorted(one.own) == [1, 4]
    assert np.array_equal(again.array(6), one.array(6))
    assert [again.dump(row) for row in range(6)] == [one.dump(row) for row in range(6)]


def test_a_tag_under_a_new_name_goes_on_alone() -> None:
    one = calibrators()
    feed(one, 1, OWN_AFTER)
    one.copy(1, 7)
    copied = one.array(8)[7]
    assert np.array_equal(copied, one.array(8)[1])
    feed(one, 7, 10)
    assert np.array_equal(one.array(8)[1], copied) and not np.array_equal(one.array(8)[7], copied)


def test_a_dropped_tag_begins_anew() -> None:
    one = calibrators()
    feed(one, 1, OWN_AFTER)
    one.drop(1)
    assert np.array_equal(one.array(2)[1], state_of(one.shared)[:NUMBERS])
    feed(one, 1, OWN_AFTER - 1)
    assert not one.own
