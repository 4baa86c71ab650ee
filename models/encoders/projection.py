"""The raw features to a unit vector: fitted once on pictures without labels, then frozen.

In: raw features float32 [N, F], in parts of different lengths and scales. Out: unit vectors float32 [N, D].
Raises ConfigurationError on a file that is not a projection, UsageError when there are too few pictures to fit one.

Each part is centred and scaled to unit mean energy, so that all weigh the same; then right singular vectors divided by
the square root of their singular values (half-way to whitening), length 1, and an orthogonal rotation that makes signs
a good code (ITQ; floats and cosines stay as they are).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.linalg  # type: ignore[import-untyped]
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.encoders.base import Vectors
from models.errors import ConfigurationError, UsageError

DIMENSION = 512
ITQ_ROUNDS = 30
ITQ_SEED = 20
RANK_TOLERANCE = 1e-12  # of the largest squared singular value: directions without variance must not be blown up

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Projection:
    """v = (features - centre) @ matrix, then scaled to length 1.

    Attributes:
        centre: float32 [F].
        matrix: float16 [F, D]; or [F], what stands on the diagonal of one that has nothing elsewhere.
    """

    centre: NDArray[np.float32]
    matrix: NDArray[np.float16]

    @property
    def dimension(self) -> int:
        """Numbers in a vector, D."""
        return int(self.matrix.shape[-1])

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        save_file({"centre": self.centre, "matrix": self.matrix}, path)

    @classmethod
    def load(cls, path: Path, features: int) -> "Projection":
        """Read what `save` wrote, for so many features, F.

        Raises:
            ConfigurationError: no file, not safetensors, or arrays of other names, shapes or with NaN.
        """
        remedy = "make one with: mekiki encoder fit"
        try:
            arrays = load_file(path)
            centre, matrix = arrays["centre"], arrays["matrix"]
        except (OSError, SafetensorError, KeyError) as error:
            raise ConfigurationError(f"projection {path}: expected a safetensors file of ours; {remedy}") from error
        if centre.shape != (features,) or matrix.ndim != 2 or matrix.shape[0] != features:
            shapes = f"{list(centre.shape)} and {list(matrix.shape)}"
            raise ConfigurationError(
                f"projection {path}: expected [{features}] and [{features}, D], is {shapes}; {remedy}"
            )
        if not (np.isfinite(centre).all() and np.isfinite(matrix).all()):
            raise ConfigurationError(f"projection {path}: expected finite numbers; {remedy}")
        return cls(centre.astype(np.float32), matrix.astype(np.float16))

    @classmethod
    def none(cls, parts: Sequence[int]) -> "Projection":
        """The features themselves, each part of them weighing the same."""
        weights = np.repeat([1 / np.sqrt(part) for part in parts], parts)
        return cls(np.zeros(sum(parts), np.float32), weights.astype(np.float16))

    @cached_property
    def _wide(self) -> NDArray[np.float32]:
        """The matrix in float32, which a multiplication needs."""
        return self.matrix.astype(np.float32)

    def apply(self, features: Vectors) -> Vectors:
        """Unit vectors float32 [N, D] of raw features float32 [N, F]; 0.15 ms a row on one core. Any thread.

        Row by row and without BLAS: its kernels add up in an order that depends on the number of rows and threads, and
        a vector must be the same to the bit in every batch. Features that equal the centre give the first axis.
        """
        vectors = np.zeros((len(features), self.dimension), np.float32)
        for row, feature in enumerate(features):
            centred = feature - self.centre
            vector = centred * self._wide if self.matrix.ndim == 1 else np.einsum("f,fd->d", centred, self._wide)
            length = np.sqrt(np.sum(np.square(vector, dtype=np.float64)))
            if length > 0:
                vectors[row] = vector / length
            else:
                vectors[row, 0] = 1
        return vectors


def fit_projection(
    features: Vectors, parts: Sequence[int], dimension: int = DIMENSION, *, itq_rounds: int = ITQ_ROUNDS,
    seed: int = ITQ_SEED,
) -> Projection:  # fmt: skip
    """A projection for pictures like these; about 6 s for 2,000 pictures.

    Args:
        features: raw, float32 [N, F], N > dimension.
        parts: numbers in each part of them.
        dimension: numbers in a vector, D; at most F.
        itq_rounds: of the rotation; 0 leaves it random.
        seed: of the rotation's start.

    On one thread: on a busy machine more are slower, and the result would depend on their number. Cosines between
    vectors hardly depend on the last bits of the features; the rotation does (it starts from signs), so vectors of two
    fits must never be mixed, even of the same pictures.

    Raises:
        UsageError: too few pictures for that dimension.

    Source: Gong and Lazebnik, Iterative Quantization, CVPR 2011 (the rotation).
    """
    if dimension > features.shape[1]:
        raise UsageError(f"dimension {dimension}: expected at most the {features.shape[1]} features; lower --dimension")
    if len(features) <= dimension:
        raise UsageError(
            f"pictures {len(features)}: expected more than the dimension {dimension}; add pictures or lower --dimension"
        )
    with threadpool_limits(1):
        return _fit(features.astype(np.float64), parts, dimension, itq_rounds, seed)


def _fit(raw: Floats, parts: Sequence[int], dimension: int, itq_rounds: int, seed: int) -> Projection:
    centre = raw.mean(axis=0)
    scale = _part_scales(raw - centre, parts)
    scaled = (raw - centre) * scale
    axes, strengths = _principal_axes(scaled, dimension)
    matrix = axes / np.sqrt(strengths)
    projected = scaled @ matrix
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    matrix = scale[:, None] * (matrix @ _itq_rotation(projected, itq_rounds, seed))
    matrix /= np.abs(matrix).max()  # lengths become 1 anyway; float16 likes numbers around 1
    return Projection(centre.astype(np.float32), matrix.astype(np.float16) + np.float16(0))  # + 0: no minus zeros


def _part_scales(centred: Floats, parts: Sequence[int]) -> Floats:
    """One factor per number, equal within a part, that gives each part a mean squared length of 1."""
    energies = [np.square(part).sum(axis=1).mean() for part in np.split(centred, np.cumsum(parts)[:-1], axis=1)]
    return np.repeat([1 / np.sqrt(energy) if energy > 0 else 0.0 for energy in energies], parts)


def _principal_axes(scaled: Floats, dimension: int) -> tuple[Floats, Floats]:
    """Right singular vectors [F, D] and singular values [D]; the largest number of each vector is positive."""
    few = len(scaled) < scaled.shape[1]  # then the singular vectors of the other side are the smaller problem
    gram = scaled @ scaled.T if few else scaled.T @ scaled
    squares, axes = scipy.linalg.eigh(gram, subset_by_index=[len(gram) - dimension, len(gram) - 1])
    squares, axes = squares[::-1], axes[:, ::-1]  # the strongest first
    if few:
        axes = scaled.T @ axes
        axes /= np.linalg.norm(axes, axis=0)
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(dimension)]
    return axes * np.sign(largest), np.sqrt(np.maximum(squares, squares[0] * RANK_TOLERANCE))


def _itq_rotation(vectors: Floats, rounds: int, seed: int) -> Floats:
    """Orthogonal [D, D] that brings unit vectors [N, D] close to the corners of a cube."""
    dimension = vectors.shape[1]
    rotation, upper = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, dimension)))
    rotation *= np.sign(np.diag(upper))
    for _ in range(rounds):
        corners = np.where(vectors @ rotation >= 0, 1.0, -1.0)
        left, _, right = scipy.linalg.svd(vectors.T @ corners)
        rotation = left @ right
    return rotation
