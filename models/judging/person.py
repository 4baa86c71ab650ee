"""A simulated person with a hidden taste, so that the demo has clicks.

The taste is for what is in a picture: its keywords and its colours, never a function of the embedding. One click in
ten is random. Nothing of this reaches the service but the clicks.
"""

import random
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from models.ranking.pairs import Pair

LIKED = frozenset({"animal", "nature", "food", "fruit", "plant", "flower", "bird", "sea", "sweet", "weather"})
DISLIKED = frozenset({"flag", "country", "nation", "symbol", "arrow", "clock", "time", "office", "number", "alphabet"})
KEYWORD_WEIGHT = 1.0
WARM_WEIGHT = 1.5  # of the share of warm, saturated pixels, 0 to 1
COLOUR_WEIGHT = 0.5  # of mean saturation, 0 to 1
RANDOM_SHARE = 0.1

Pixels = npt.NDArray[np.uint8]


def taste_of(tags: Sequence[str], pixels: Pixels) -> float:
    """How much the person likes a picture: keywords liked and disliked, and warm, strong colours."""
    words = {word for tag in tags for word in tag.split()}
    keywords = min(2, len(words & LIKED)) - min(2, len(words & DISLIKED))
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    hue, saturation = hsv[:, :, 0], hsv[:, :, 1] / 255.0
    warm = ((hue < 25) | (hue > 165)) & (saturation > 0.4)
    inked = saturation > 0.1
    share = float(warm.sum() / max(1, inked.sum()))
    return (
        KEYWORD_WEIGHT * keywords
        + WARM_WEIGHT * share
        + COLOUR_WEIGHT * float(saturation[inked].mean() if inked.any() else 0)
    )


def click_pairs(tastes: dict[str, float], count: int, *, seed: int, random_share: float = RANDOM_SHARE) -> list[Pair]:
    """Pairs of different taste, clicked by the person; `random_share` of the clicks are coin tosses."""
    chance = random.Random(seed)
    ids = sorted(tastes)
    pairs: list[Pair] = []
    while len(pairs) < count:
        first, second = chance.sample(ids, 2)
        if tastes[first] == tastes[second]:
            continue
        if chance.random() < random_share:
            liked_first = chance.random() < 0.5
        else:
            liked_first = tastes[first] > tastes[second]
        pairs.append(Pair(first, second) if liked_first else Pair(second, first))
    return pairs
