"""The tagger is a river estimator: river's own checks, on a small dataset with the form of river's Music.

river's Music is fetched from the network, so a synthetic one with its form (72 features, 6 labels) stands in.
Every check that river yields for a multi-label classifier applies.
"""

import random
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
from river import checks, datasets

from models.errors import UsageError
from models.tagging.tagger import Tagger


class Music:
    """Songs with 72 numbers and six moods."""

    def __iter__(self) -> Iterator[tuple[dict[str, float], dict[str, bool]]]:
        dice = random.Random(20)
        while True:
            x = {f"feature {i}": dice.gauss(0, 1) for i in range(72)}
            yield x, {f"mood {i}": x[f"feature {i}"] + 0.3 * dice.gauss(0, 1) > 0 for i in range(6)}

    def take(self, count: int) -> Iterator[tuple[dict[str, float], dict[str, bool]]]:
        return islice(iter(self), count)


def _checks() -> list[Callable[[Tagger], None]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "Music", Music)
        return list(checks.yield_checks(Tagger()))


@pytest.mark.parametrize("check", _checks(), ids=lambda check: check.__name__)
def test_passes_the_checks_of_river(check: Callable[[Tagger], None]) -> None:
    check(Tagger(dimension=72, neighbours=10, max_exemplars=100).clone())


def test_learns_what_a_mood_looks_like() -> None:
    tagger = Tagger(dimension=72)
    songs = list(Music().take(700))
    for x, y in songs[:500]:
        tagger.learn_one(x, y)
    right = sum(tagger.predict_one(x)[mood] == present for x, y in songs[500:] for mood, present in y.items())
    assert right / 1_200 > 0.8


def test_a_dict_of_more_features_than_numbers_is_refused() -> None:
    with pytest.raises(UsageError, match="at most 2 features"):
        Tagger(dimension=2).learn_one({"a": 1.0, "b": 2.0, "c": 3.0}, {"x": True})
