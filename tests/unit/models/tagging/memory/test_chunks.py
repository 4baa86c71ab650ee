"""Chunked arrays behave like arrays, and versions share chunks."""

import numpy as np

from models.tagging.memory.chunks import CHUNK, Chunks
from tests.tagged_images import whole


def test_chunks_take_and_replace_like_an_array() -> None:
    array = np.arange(3 * (2 * CHUNK + 5), dtype=np.float32).reshape(-1, 3)
    chunks = Chunks.of(array)
    rows = np.array([0, 2 * CHUNK + 4, 5, CHUNK, 5])
    assert np.array_equal(chunks.take(rows), array[rows])
    new = chunks.replaced(np.array([7, 2 * CHUNK + 6]), np.ones((2, 3), np.float32), 2 * CHUNK + 8)
    assert new.changed(chunks).tolist() == [7, *range(2 * CHUNK + 5, 2 * CHUNK + 8)]
    assert np.array_equal(whole(chunks), array)
    assert new.parts[1] is chunks.parts[1]
    assert np.array_equal(new.times(array[:2]), array[:2] @ whole(new).T)
