"""The nearest labelled images: exact, and by signs nearly so."""

import numpy as np

from models.quantise import SCALE
from models.tagging.evidence.derived import ExemplarCache
from models.tagging.evidence.neighbours import nearest, nearest_by_bits
from tests.tagged_images import learner, queries, whole


def test_neighbours_are_the_nearest_whatever_the_slots() -> None:
    tagger = learner(3000)
    exemplars = tagger.snapshot(wait=True).exemplars
    quantised = np.rint(queries() * SCALE).astype(np.float32)
    found = nearest(exemplars, quantised, 8)
    exact = quantised.astype(np.float64) @ whole(exemplars.vectors).astype(np.float64).T
    assert np.array_equal(found, np.argsort(-exact, axis=1, kind="stable")[:, :8])


def test_signs_find_nearly_all_of_the_nearest() -> None:
    exemplars = learner(3000).snapshot(wait=True).exemplars
    quantised = np.rint(queries() * SCALE).astype(np.float32)
    bits = ExemplarCache().bits(exemplars)
    exact, by_bits = nearest(exemplars, quantised, 50), nearest_by_bits(exemplars, bits, quantised, 50)
    shared = [len(set(a) & set(b)) for a, b in zip(exact.tolist(), by_bits.tolist(), strict=True)]
    assert np.mean(shared) > 38  # of 50, by no more than 16 signs
    assert np.array_equal(nearest_by_bits(exemplars, bits, quantised, 3000), nearest(exemplars, quantised, 3000))
