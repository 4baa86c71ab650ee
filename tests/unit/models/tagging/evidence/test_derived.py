"""What is derived from exemplars is made once, and again only for what is new."""

import numpy as np

from models.tagging.evidence.derived import ExemplarCache
from models.tagging.memory.chunks import CHUNK, Chunks
from models.tagging.memory.exemplars import Exemplars
from tests.tagged_images import whole


def test_vectors_are_multiplied_by_the_metric_once() -> None:
    random = np.random.default_rng(0)
    metric = random.standard_normal((8, 8)).astype(np.float32)
    cache, hashes = ExemplarCache(), Chunks.of(np.empty(0, np.int64))
    first = Chunks.of(random.standard_normal((2 * CHUNK + 100, 8)).astype(np.float32))
    one = cache.compared(Exemplars(first, hashes, ()), metric)
    assert np.allclose(whole(one), whole(first) @ metric, atol=1e-5)  # blocks of rows may round otherwise
    rows = np.array([CHUNK, 2 * CHUNK + 150])
    second = first.replaced(rows, random.standard_normal((2, 8)).astype(np.float32), 2 * CHUNK + 200)
    two = cache.compared(Exemplars(second, hashes, ()), metric)
    assert two.parts[0] is one.parts[0]
    assert np.allclose(whole(two), whole(second) @ metric, atol=1e-5)
    assert np.array_equal(np.flatnonzero((two.parts[1] != one.parts[1]).any(axis=1)), [0])
    shorter = cache.compared(Exemplars(second.replaced(rows[:0], second.empty, CHUNK + 5), hashes, ()), metric)
    assert np.allclose(whole(shorter), whole(second)[: CHUNK + 5] @ metric, atol=1e-5)
    other = cache.compared(Exemplars(second, hashes, ()), metric.T.copy())
    assert np.allclose(whole(other), whole(second) @ metric.T, atol=1e-5)
