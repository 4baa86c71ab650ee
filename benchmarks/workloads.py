"""Seeded workloads; no network, no files.

`TagStream`: unit vectors of 512 numbers around one centre per tag, 10 tags an image, half of them drawn evenly and half
by a power law, as people's tags are. `mixtures`: vectors that lie as real ones do.
"""

from collections.abc import Iterator

import numpy as np

from models.quantise import dequantise, quantise
from models.tagging.examples import Example

TAGS = 30_000
DIMENSION = 512
TAGS_PER_IMAGE = 10
BATCH = 8192


class TagStream:
    """An endless stream of tagged images, the same for the same seed."""

    def __init__(self, tags: int = TAGS, dimension: int = DIMENSION, seed: int = 20) -> None:
        self._random = np.random.default_rng(seed)
        self.names = [f"tag {tag}" for tag in range(tags)]
        self._centres = self._random.standard_normal((tags, dimension), np.float32)
        share = 1.0 / np.arange(1, tags + 1) ** 0.8
        self._steps = np.cumsum(share / share.sum())
        self.position = 0

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors float32 [count, D] and tag numbers [count, 10]."""
        half = TAGS_PER_IMAGE // 2
        even = self._random.integers(0, len(self.names), (count, TAGS_PER_IMAGE - half))
        often = np.searchsorted(self._steps, self._random.random((count, half)) * self._steps[-1])
        tags = np.concatenate([even, often], axis=1)
        vectors = 3 * self._random.standard_normal((count, self._centres.shape[1]), np.float32)
        for column in range(TAGS_PER_IMAGE):
            vectors += self._centres[tags[:, column]]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), tags

    def examples(self, count: int) -> list[Example]:
        """The next `count` images as the learner gets them."""
        vectors, tags = self.draw(count)
        quantised = quantise(vectors)
        start, self.position = self.position, self.position + count
        names = self.names
        return [
            Example(f"image-{start + i}", quantised[i], tuple(names[tag] for tag in row))
            for i, row in enumerate(tags.tolist())
        ]

    def batches(self, count: int, batch: int = BATCH) -> Iterator[tuple[int, list[Example]]]:
        """(position of the first, examples) of the next `count` images."""
        while count > 0:
            position = self.position
            yield position, self.examples(min(batch, count))
            count -= batch


def mixtures(real: np.ndarray, count: int, batch: int, seed: int = 0) -> Iterator[np.ndarray]:
    """`count` unit vectors float32 [batch, D] at a time, on the grid of the index: each between two of the `real` ones
    [N, D], nearer to the one, with noise half as long as a vector.
    """
    random = np.random.default_rng(seed)
    for start in range(0, count, batch):
        rows = min(batch, count - start)
        one, other = (real[random.integers(0, len(real), rows)] for _ in range(2))
        noise = random.standard_normal((rows, real.shape[1]), np.float32) / np.float32(2 * np.sqrt(real.shape[1]))
        vectors = one + random.uniform(0.2, 0.8, (rows, 1)).astype(np.float32) * other + noise
        yield dequantise(quantise(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))
