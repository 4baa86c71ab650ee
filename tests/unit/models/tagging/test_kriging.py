"""Kriging, the metric and the co_occurrence equal their definitions; versions share what they can."""

from __future__ import annotations

import itertools

import numpy as np

from models.tagging.evidence.co_occurrence import LEAST, LIKELIEST, MOST, SHRINK, STRENGTH, CoOccurrence
from models.tagging.evidence.derived import ExemplarCache
from models.tagging.evidence.kriging import kriging_weights
from models.tagging.evidence.metric import fit_metric, no_metric
from models.tagging.evidence.ridge import invert_gram, solve_rows
from models.tagging.memory.chunks import CHUNK, Chunks
from models.tagging.memory.exemplars import Exemplars
from tests.unit.models.tagging.test_snapshot import DIMENSION, learner


def test_kriging_equals_the_solved_system() -> None:
    random = np.random.default_rng(0)
    near = random.standard_normal((3, 50, 32)) + 2 * random.standard_normal((3, 1, 32))
    point = near[:, 0] + 0.1 * random.standard_normal((3, 32))
    weights = kriging_weights(near.astype(np.float32), point.astype(np.float32), bandwidth=2.0, noise=0.3, doubt=1.5)
    for row in range(3):
        both = near[row] / np.linalg.norm(near[row], axis=1, keepdims=True)
        cosines = both @ (point[row] / np.linalg.norm(point[row]))
        rank = np.argsort(np.argsort(-cosines))
        kernel = np.exp(2.0 * (both @ both.T - 1)) + np.diag(0.3 * np.exp(1.5 * rank / 50))
        assert np.allclose(weights[row], np.linalg.solve(kernel, np.exp(2.0 * (cosines - 1))), atol=1e-4)


def test_kriging_does_without_neighbours() -> None:
    assert kriging_weights(np.empty((2, 0, 8), np.float32), np.ones((2, 8), np.float32)).shape == (2, 0)


def test_the_metric_equals_its_definition() -> None:
    sums = learner().statistics.sums
    factor = invert_gram(sums.gram, sums.total, sums.images, 0.5)
    weights = solve_rows(factor, sums.tags, sums.counts).astype(np.float64)
    strengths, directions = np.linalg.eigh((weights / np.sqrt(sums.counts)[:, None]).T @ weights)
    tags = (directions * strengths.clip(0) ** 0.6) @ directions.T
    gram = sums.gram / 32767.0**2
    spread = np.linalg.inv(gram + 0.5 * np.eye(DIMENSION))
    expected = np.eye(DIMENSION) / 2 + spread / np.trace(spread @ gram) * sums.images / 2
    expected += tags / np.trace(tags) * 0.65**2 * DIMENSION
    metric = fit_metric(sums).astype(np.float64)
    assert np.allclose(metric @ metric.T, expected, rtol=2e-3, atol=2e-3)
    assert np.array_equal(no_metric(3), np.eye(3))


def test_associations_equal_their_definition() -> None:
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


def test_a_tag_keeps_its_strongest_associates() -> None:
    images = [(0, tag) for tag in range(1, 2 * MOST) for _ in range(2 + tag)]
    found = CoOccurrence.of(images, 2 * MOST)
    assert found.tags[found.starts[0] : found.starts[1]].tolist() == list(range(2 * MOST - 1, MOST - 1, -1))
    assert found.starts[2] - found.starts[1] == 1


def test_pairs_of_many_tags_are_counted_too() -> None:
    found = CoOccurrence.of([(70_000, 3), (3, 70_000), (5, 70_000)], 70_001)
    assert found.tags.tolist() == [70_000, 3]


def test_nothing_goes_together_at_first() -> None:
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


def test_the_likeliest_tags_speak_for_others() -> None:
    tags = LIKELIEST + 3
    silent, new, told = LIKELIEST, LIKELIEST + 1, LIKELIEST + 2
    met = [(tag, told) for tag in range(LIKELIEST + 1) for _ in range(3)]
    known = CoOccurrence.of(met, tags)
    weights = np.array([*np.linspace(0.6, 0.5, LIKELIEST), 0.4, 0.9], np.float32)
    expected = np.array([0.0, 0.5], np.float32)
    priors = np.full(tags + 1, 0.1, np.float32)
    image, tag, evidence = known.spread(
        np.full(tags - 1, 1), np.array([*range(silent), silent, tags]), weights, expected, priors
    )
    gained = np.zeros((2, tags + 1))
    np.add.at(gained, (image, tag), evidence)
    speaking = np.sqrt(weights[:LIKELIEST] - 0.05).sum()  # not the next, nor the newest, which knows no others
    assert gained[1, silent] == np.float32(0.4) and gained[1, tags] == np.float32(0.9)
    assert gained[1, new] == 0.0 and not gained[0].any()
    strength = STRENGTH * 3 / np.sqrt((3 + SHRINK) * (3 * (LIKELIEST + 1) + SHRINK))
    assert np.isclose(gained[1, told], strength * speaking)


def test_rows_given_to_other_tags_go_with_nothing() -> None:
    images = [pair for pair in itertools.combinations(range(5), 2) for _ in range(2)]
    left = CoOccurrence.of(images, 5).without([1, 4])
    for tag in range(5):
        others = {0, 2, 3} - {tag} if tag in (0, 2, 3) else set()
        assert set(left.tags[left.starts[tag] : left.starts[tag + 1]].tolist()) == others


def test_vectors_are_multiplied_by_the_metric_once() -> None:
    random = np.random.default_rng(0)
    metric = random.standard_normal((8, 8)).astype(np.float32)
    cache, hashes = ExemplarCache(), Chunks.of(np.empty(0, np.int64))
    first = Chunks.of(random.standard_normal((2 * CHUNK + 100, 8)).astype(np.float32))
    one = cache.compared(Exemplars(first, hashes, ()), metric)
    assert np.array_equal(one.whole(), first.whole() @ metric)
    rows = np.array([CHUNK, 2 * CHUNK + 150])
    second = first.replaced(rows, random.standard_normal((2, 8)).astype(np.float32), 2 * CHUNK + 200)
    two = cache.compared(Exemplars(second, hashes, ()), metric)
    assert two.parts[0] is one.parts[0]
    assert np.allclose(two.whole(), second.whole() @ metric, atol=1e-5)
    assert np.array_equal(np.flatnonzero((two.parts[1] != one.parts[1]).any(axis=1)), [0])
    shorter = cache.compared(Exemplars(second.replaced(rows[:0], second.empty, CHUNK + 5), hashes, ()), metric)
    assert np.allclose(shorter.whole(), second.whole()[: CHUNK + 5] @ metric, atol=1e-5)
    other = cache.compared(Exemplars(second, hashes, ()), metric.T.copy())
    assert np.allclose(other.whole(), second.whole() @ metric.T, atol=1e-5)
