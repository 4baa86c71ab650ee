"""Impressions of pictures at positions of a page, clicked or not by the demo's person.

In: how much the person likes each picture. Out: impressions with the chance that each had.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, pstdev

POSITIONS = 10
LIKING = 1.5  # log-odds of a click for each standard deviation of taste
POSITION = 0.25  # log-odds lost with each position: people look at the first pictures
BASE = -1.0  # log-odds at the first position, for a picture of the mean taste


@dataclass(frozen=True, slots=True)
class Impression:
    """A picture was shown: where, whether it was clicked, and how probable that was."""

    image_id: str
    position: int
    clicked: bool
    chance: float


def impressions(tastes: Mapping[str, float], count: int, *, seed: int) -> list[Impression]:
    """Pictures and positions drawn evenly, clicked by taste and position."""
    chance = random.Random(seed)
    ids, mean, deviation = sorted(tastes), fmean(tastes.values()), pstdev(tastes.values())
    found = []
    for _ in range(count):
        image_id, position = chance.choice(ids), chance.randrange(POSITIONS)
        odds = BASE + LIKING * (tastes[image_id] - mean) / deviation - POSITION * position
        probability = 1 / (1 + math.exp(-odds))
        found.append(Impression(image_id, position, chance.random() < probability, probability))
    return found
