"""One encoder's row of figures, and those of the layers that it is made of.

In: raw features of pictures with tags. Out: `Row`s. Raises UsageError when too few pictures share tags.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from models.judging.precision import Distance, neighbours, precision_by_tag, rank_me
from models.judging.probes import by_heads, by_neighbours, by_ridge, by_taste
from models.judging.splits import FIRST_SEED, split

Floats = npt.NDArray[np.floating]
DISTANCES: tuple[Distance, ...] = ("l2", "l1", "cosine", "hamming")


@dataclass(frozen=True)
class Row:
    """Figures of one encoder or layer; None: not measured.

    Attributes:
        encoder: its name.
        layer: "vector", what the index keeps; "features", all that the network gives; or a part of these.
        numbers: in a vector.
        p_at_5: precision at 5 by shared tag, by cosine; p_at_10 likewise.
        l2: the same at 5 by this distance; l1, cosine and hamming likewise.
        bytes: of a vector as the index keeps it, int16; bits take an eighth of `numbers`.
        knn: mAP of neighbours that vote; ridge: of a linear regression; lrap and map: of our heads, online.
        lrap_std: standard deviation over the splits; map_std likewise.
        pair_accuracy: of the ranker on pictures that no click named.
        rank_me: directions that the vectors use.
        images_per_second: of the network, on this machine.
    """

    encoder: str
    layer: str
    numbers: int
    p_at_5: float
    p_at_10: float
    l2: float
    l1: float
    cosine: float
    hamming: float
    bytes: int
    rank_me: float
    knn: float | None = None
    ridge: float | None = None
    lrap: float | None = None
    lrap_std: float | None = None
    map: float | None = None
    map_std: float | None = None
    pair_accuracy: float | None = None
    images_per_second: float | None = None

    def document(self) -> dict[str, float | int | str | None]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class Judged:
    """What an encoder is judged by.

    Attributes:
        name: of the encoder.
        features: of its pictures, as they are kept, float32 [N, F].
        parts: numbers in each part of them.
        vectors: what its projection makes of them, float32 [N, D].
        tags: of each picture.
        taste: how much somebody likes each picture, [N].
    """

    name: str
    features: Floats
    parts: tuple[int, ...]
    vectors: Floats
    tags: Sequence[Sequence[str]]
    taste: Floats


def rows_of(judged: Judged, splits: int, done: Callable[[], None] = lambda: None) -> list[Row]:
    """The encoder's row, one of all its features, and one of each part.

    Args:
        judged: the encoder.
        splits: cuts of the pictures that heads are measured on; each fits a projection on its own training side.
        done: called after each of `steps(judged, splits)` steps.

    Raises:
        UsageError: too few pictures share tags.
    """
    layers = [("vector", judged.vectors), ("features", judged.features)]
    if len(judged.parts) > 1:
        edges = np.cumsum(judged.parts)[:-1]
        named = zip(judged.parts, np.split(judged.features, edges, axis=1), strict=True)
        layers += [(f"part {number} ({size})", part) for number, (size, part) in enumerate(named, start=1)]
    rows = []
    for layer, vectors in layers:
        rows.append(_neighbour_row(judged, layer, vectors))
        done()
    measured = [_probed(judged, FIRST_SEED + number, done) for number in range(splits)]
    mean = {name: float(np.mean([figures[name] for figures in measured])) for name in measured[0]}
    deviation = {name: spread([figures[name] for figures in measured]) for name in ("lrap", "map")}
    first = replace(
        rows[0], knn=mean["knn"], ridge=mean["ridge"], lrap=mean["lrap"], lrap_std=deviation["lrap"], map=mean["map"],
        map_std=deviation["map"], pair_accuracy=mean["pair_accuracy"],
    )  # fmt: skip
    return [first, *rows[1:]]


def steps(judged: Judged, splits: int) -> int:
    """How often `rows_of` says that it did something."""
    return 2 + (len(judged.parts) if len(judged.parts) > 1 else 0) + splits


def _neighbour_row(judged: Judged, layer: str, vectors: Floats) -> Row:
    found = {distance: neighbours(vectors, 10, distance) for distance in DISTANCES}
    at_5 = {distance: precision_by_tag(nearest[:, :5], judged.tags) for distance, nearest in found.items()}
    return Row(
        encoder=judged.name, layer=layer, numbers=vectors.shape[1], p_at_5=at_5["cosine"],
        p_at_10=precision_by_tag(found["cosine"], judged.tags), l2=at_5["l2"], l1=at_5["l1"], cosine=at_5["cosine"],
        hamming=at_5["hamming"], bytes=2 * vectors.shape[1], rank_me=rank_me(vectors),
    )  # fmt: skip


def _probed(judged: Judged, seed: int, done: Callable[[], None]) -> dict[str, float]:
    data = split(judged.features, judged.parts, judged.tags, seed)
    figures = {"knn": by_neighbours(data), "ridge": by_ridge(data), **by_heads(data)}
    figures["pair_accuracy"] = by_taste(judged.vectors, judged.taste, seed)
    done()
    return figures


def spread(values: Sequence[float]) -> float:
    """Standard deviation over the splits."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
