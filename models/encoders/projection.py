"""The raw features to a unit vector: fitted once on pictures without labels, then frozen.

In: raw features float32 [N, 2608], five parts of different lengths and scales. Out: unit vectors float32 [N, D].
Raises ConfigurationError on a file that is not a projection, UsageError when there are too few pictures to fit one.

Each part is centred and scaled to unit mean energy, so that all weigh the same; then right singular vectors divided by
the square root of their singular values (half-way to whitening), length 1, and an orthogonal rotation that makes signs
a good code (ITQ; floats and cosines stay as they are).
"""

import hashlib
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
from models.encoders.efficientnet.outputs import FEATURES, PARTS
from models.errors import ConfigurationError, UsageError

SHIPPED = Path(__file__).with_name("projection_openmoji.safetensors")
DIMENSION = 512
ITQ_ROUNDS = 30
ITQ_SEED = 20
RANK_TOLERANCE = 1e-12  # of the largest squared singular value: directions without variance must not be blown up

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Projection:
    """v = (features - centre) @ matrix, then scaled to length 1.

    Attributes:
        centre: float32 [2608].
        matrix: float16 [2608, D].
    """

    centre: NDArray[np.float32]
    matrix: NDArray[np.float16]

    @property
    def dimension(self) -> int:
        """Numbers in a vector, D."""
        return int(self.matrix.shape[1])

    @property
    def sha256(self) -> str:
        """Hex digest of the numbers, not of the file that holds them."""
        digest = hashlib.sha256(self.centre.astype("<f4").tobytes())
        digest.update(self.matrix.astype("<f2").tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        save_file({"centre": self.centre, "matrix": self.matrix}, path)

    @classmethod
    def load(cls, path: Path) -> "Projection":
        """Read what `save` wrote.

        Raises:
            ConfigurationError: no file, not safetensors, or arrays of other names and shapes.
        """
        remedy = "write one with: mekiki encoder fit"
        try:
            arrays = load_file(path)
            centre, matrix = arrays["centre"], arrays["matrix"]
        except (OSError, SafetensorError, KeyError) as error:
            raise ConfigurationError(f"projection {path}: expected a safetensors file of ours; {remedy}") from error
        if centre.shape != (FEATURES,) or matrix.ndim != 2 or matrix.shape[0] != FEATURES:
            shapes = f"{list(centre.shape)} and {list(matrix.shape)}"
            raise ConfigurationError(
                f"projection {path}: expected [{FEATURES}] and [{FEATURES}, D], is {shapes}; {remedy}"
            )
        return cls(centre.astype(np.float32), matrix.astype(np.float16))

    @cached_property
    def _wide(self) -> NDArray[np.float32]:
        """The matrix in float32, which a multiplication needs."""
        return self.matrix.astype(np.float32)

    def apply(self, features: Vectors) -> Vectors:
        """Unit vectors float32 [N, D] of raw features float32 [N, 2608]; 0.15 ms a row on one core. Any thread.

        Row by row and without BLAS: its kernels add up in an order that depends on the number of rows and threads, and
        a vector must be the same to the bit in every batch. Features that equal the centre give the first axis.
        """
        vectors = np.zeros((len(features), self.dimension), np.float32)
        for row, feature in enumerate(features):
            vector = np.einsum("f,fd->d", feature - self.centre, self._wide)
            length = np.sqrt(np.sum(np.square(vector, dtype=np.float64)))
            if length > 0:
                vectors[row] = vector / length
            else:
                vectors[row, 0] = 1
        return vectors


def fit_projection(
    features: Vectors, dimension: int = DIMENSION, itq_rounds: int = ITQ_ROUNDS, seed: int = ITQ_SEED
) -> Projection:
    """A projection for pictures like these; about 6 s for 2,000 pictures.

    Args:
        features: raw, float32 [N, 2608], N > dimension.
        dimension: numbers in a vector, D.
        itq_rounds: of the rotation; 0 leaves it random.
        seed: of the rotation's start.

    On one thread: on a busy machine more are slower, and the result would depend on their number. Cosines between
    vectors hardly depend on the last bits of the features; the rotation does (it starts from signs), so vectors of two
    fits must never be mixed, even of the same pictures.

    Raises:
        UsageError: too few pictures for that dimension.

    Source: Gong and Lazebnik, Iterative Quantization, CVPR 2011 (the rotation).
    """
    if len(features) <= dimension:
        raise UsageError(
            f"pictures {len(features)}: expected more than the dimension {dimension}; add pictures or lower --dimension"
        )
    with threadpool_limits(1):
        return _fit(features.astype(np.float64), dimension, itq_rounds, seed)


def _fit(raw: Floats, dimension: int, itq_rounds: int, seed: int) -> Projection:
    centre = raw.mean(axis=0)
    scale = _part_scales(raw - centre)
    scaled = (raw - centre) * scale
    axes, strengths = _principal_axes(scaled, dimension)
    matrix = axes / np.sqrt(strengths)
    projected = scaled @ matrix
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    matrix = scale[:, None] * (matrix @ _itq_rotation(projected, itq_rounds, seed))
    matrix /= np.abs(matrix).max()  # lengths become 1 anyway; float16 likes numbers around 1
    return Projection(centre.astype(np.float32), matrix.astype(np.float16) + np.float16(0))  # + 0: no minus zeros


def _part_scales(centred: Floats) -> Floats:
    """One factor per number, equal within a part, that gives each part a mean squared length of 1."""
    parts = np.split(centred, np.cumsum(PARTS)[:-1], axis=1)
    return np.repeat([1 / np.sqrt(np.square(part).sum(axis=1).mean()) for part in parts], PARTS)


def _principal_axes(scaled: Floats, dimension: int) -> tuple[Floats, Floats]:
    """Right singular vectors [2608, D] and singular values [D]; the largest number of each vector is positive."""
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
