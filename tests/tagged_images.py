"""Images that carry a tag when they look like it, and learners of them, for tests of the tag learner."""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.quantise import dequantise, quantise
from models.tagging.examples import Example
from models.tagging.memory.chunks import CHUNK, Chunks
from models.tagging.tagger import Tagger

DIMENSION = 16


def images(seed: int, count: int, tags: int) -> list[Example]:
    """Examples `seed/0` and on: each image carries the two of `tags` tags whose centres it lies nearest to."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((tags, DIMENSION))
    points = random.standard_normal((count, DIMENSION)) + centres[random.integers(0, tags, count)]
    quantised = quantise((points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32))
    near = np.argsort(-points @ centres.T, axis=1)[:, :2]
    return [Example(f"{seed}/{i}", quantised[i], tuple(f"tag {t}" for t in near[i])) for i in range(count)]


def learner(count: int = 400, tags: int = 12) -> Tagger:
    """A tagger that has learned `images(0, count, tags)`."""
    tagger = Tagger(dimension=DIMENSION, neighbours=8, max_exemplars=2 * CHUNK)
    tagger.learn_many(images(0, count, tags), 0)
    return tagger


def vectors_of(examples: list[Example]) -> np.ndarray:
    """Unit vectors [B, DIMENSION] of examples."""
    return np.stack([dequantise(example.vector) for example in examples if example.vector is not None])


def queries(count: int = 20) -> np.ndarray:
    """Unit vectors [count, DIMENSION] of images that no learner has seen."""
    return vectors_of(images(5, count, 12))


def whole(chunks: Chunks) -> npt.NDArray[Any]:
    """An array that is kept in chunks, in one piece."""
    return np.concatenate([chunks.empty, *chunks.parts])
