"""Which tags occur together, and what the likeliest tags of an image add to others."""

import itertools

import numpy as np

from models.tagging.evidence.co_occurrence import LEAST, LIKELIEST, MOST, SHRINK, STRENGTH, CoOccurrence


def test_strengths_equal_their_definition() -> None:
    random = np.random.default_rng(1)
    images = [tuple(random.choice(20, random.integers(0, 6), replace=False).tolist()) for _ in range(200)]
    found = CoOccurrence.of(images, 21)
    counts = [sum(tag in image for image in images) for tag in range(21)]
    for one in range(21):
        here = slice(found.starts[one], found.starts[one + 1])
        given = dict(zip(found.tags[here].tolist(), found.strengths[here].tolist(), strict=True))
        assert list(given.values()) == sorted(given.values(), reverse=True)
        for other in range(21):
            both = sum(one in image and other in image for image in images) if one != other else 0
            expected = STRENGTH * both / np.sqrt((counts[one] + SHRINK) * (counts[other] + SHRINK))
            assert np.isclose(given.get(other, 0.0), expected if both >= LEAST else 0.0)


def test_a_tag_keeps_the_strongest_of_its_co_occurring_tags() -> None:
    images = [(0, tag) for tag in range(1, 2 * MOST) for _ in range(2 + tag)]
    found = CoOccurrence.of(images, 2 * MOST)
    assert found.tags[found.starts[0] : found.starts[1]].tolist() == list(range(2 * MOST - 1, MOST - 1, -1))
    assert found.starts[2] - found.starts[1] == 1


def test_pairs_of_many_tags_are_counted_too() -> None:
    found = CoOccurrence.of([(70_000, 3), (3, 70_000), (5, 70_000)], 70_001)
    assert found.tags.tolist() == [70_000, 3]


def test_nothing_co_occurs_at_first() -> None:
    for images in ([], [()], [(0,), (1,)], [(0, 1)]):
        assert CoOccurrence.of(images, 2).tags.size == 0
    image, tag, evidence = CoOccurrence.none().spread(
        np.array([0, 0]),
        np.array([1, 1]),
        np.array([0.25, 0.5], np.float32),
        np.ones(1, np.float32),
        np.ones(2, np.float32),
    )
    assert (image.tolist(), tag.tolist(), evidence.tolist()) == ([0], [1], [0.75])


def test_the_likeliest_tags_are_evidence_for_others() -> None:
    tags = LIKELIEST + 3
    beaten, new, gaining = LIKELIEST, LIKELIEST + 1, LIKELIEST + 2
    met = [(tag, gaining) for tag in range(LIKELIEST + 1) for _ in range(3)]
    known = CoOccurrence.of(met, tags)
    weights = np.array([*np.linspace(0.6, 0.5, LIKELIEST), 0.4, 0.9], np.float32)
    expected = np.array([0.0, 0.5], np.float32)
    priors = np.full(tags + 1, 0.1, np.float32)
    image, tag, evidence = known.spread(
        np.full(tags - 1, 1), np.array([*range(beaten), beaten, tags]), weights, expected, priors
    )
    gained = np.zeros((2, tags + 1))
    np.add.at(gained, (image, tag), evidence)
    expected_gain = np.sqrt(weights[:LIKELIEST] - 0.05).sum()  # not the next, nor the newest, which knows no others
    assert gained[1, beaten] == np.float32(0.4) and gained[1, tags] == np.float32(0.9)
    assert gained[1, new] == 0.0 and not gained[0].any()
    strength = STRENGTH * 3 / np.sqrt((3 + SHRINK) * (3 * (LIKELIEST + 1) + SHRINK))
    assert np.isclose(gained[1, gaining], strength * expected_gain)


def test_rows_given_to_other_tags_co_occur_with_nothing() -> None:
    images = [pair for pair in itertools.combinations(range(5), 2) for _ in range(2)]
    left = CoOccurrence.of(images, 5).without([1, 4])
    for tag in range(5):
        others = {0, 2, 3} - {tag} if tag in (0, 2, 3) else set()
        assert set(left.tags[left.starts[tag] : left.starts[tag + 1]].tolist()) == others
