"""How much of a vector its signs keep: a bit a number, a thirty-second of the size of floats.

In: unit vectors, and which of them answer each other. Out: recall of what bits find and floats score, hits by bits
alone beside those by floats. The rotation of the projection (models/encoders/projection.py) makes signs a good code.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from admin.operators.encoders.labelled import load_openmoji
from models.encoders import load_encoder
from models.quantise import dequantise, quantise

WANTED, OVERSAMPLING = 10, 16  # results, and candidates for each: as the index searches

Vectors = NDArray[np.float32]


def openmoji_vectors() -> tuple[Vectors, list[tuple[str, ...]]]:
    """Vectors [N, 512] of the demo's pictures as the index has them, and their tags.

    Raises:
        ConfigurationError: the extra `demo` is not installed.
    """
    encoder = load_encoder()
    raw, tags = load_openmoji().measured(lambda pixels, _: encoder.encode(pixels))
    return dequantise(quantise(encoder.project(raw))), tags


def run() -> dict[str, float]:
    """What signs keep of the demo's pictures; raises as `openmoji_vectors`."""
    vectors, tags = openmoji_vectors()
    return binary_figures(vectors, share_a_tag(tags))


def share_a_tag(tags: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    """Which pictures have a tag in common, bool [N, N]."""
    number = {tag: column for column, tag in enumerate({tag: None for row in tags for tag in row})}
    carried = np.zeros((len(tags), len(number)), np.float32)
    for row, names in enumerate(tags):
        carried[row, [number[name] for name in names]] = 1
    shared: NDArray[np.bool_] = carried @ carried.T > 0
    return shared


def binary_figures(vectors: Vectors, answers: NDArray[np.bool_]) -> dict[str, float]:
    """Each vector as a query for the others.

    Args:
        vectors: float32 [N, D] of unit length.
        answers: bool [N, N], which answer which; queries without any answer are left out of hits.

    Returns:
        recall_at_10_rescored: of the ten nearest by floats, those among the 160 nearest by bits, which floats order.
        hit_at_10_bits_over_float: queries with an answer among the ten nearest by bits, over the same by floats.
        bytes_per_vector, float_bytes_per_vector.
    """
    signs = np.where(vectors >= 0, np.float32(1), np.float32(-1))
    by_float, by_bits = _nearest(vectors, WANTED), _nearest(signs, WANTED * OVERSAMPLING)
    found = [np.isin(true, candidates).mean() for true, candidates in zip(by_float, by_bits, strict=True)]
    return {
        "recall_at_10_rescored": round(float(np.mean(found)), 4),
        "hit_at_10_bits_over_float": round(_hits(by_bits[:, :WANTED], answers) / _hits(by_float, answers), 4),
        "bytes_per_vector": vectors.shape[1] / 8,
        "float_bytes_per_vector": vectors.shape[1] * 4,
    }


def _nearest(vectors: Vectors, count: int) -> NDArray[np.intp]:
    """[N, count] the others by inner product, best first."""
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    order: NDArray[np.intp] = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return order


def _hits(nearest: NDArray[np.intp], answers: NDArray[np.bool_]) -> float:
    others = answers.copy()
    np.fill_diagonal(others, False)
    found = np.asarray(np.take_along_axis(others, nearest, axis=1).any(axis=1))
    return float(found[np.asarray(others.any(axis=1))].mean())
