"""Tags that occur together: the likeliest tags of an image are evidence for those that co-occur with them.

In: the tags of the exemplars; later the tags of an image's neighbours. Out: evidence for more tags. The evidence of
kriging for a tag v grows by `Σ s_uv √e_u` over the `LIKELIEST` tags u of the image, with e_u their own evidence beyond
the prior and `s_uv = STRENGTH n_uv / √((n_u + 3) (n_v + 3))`, n_uv being the exemplars that carry both. Pairs met once
are chance. Fitted where the metric is.

Source: the cosine of two tags' sets of images (Salton and McGill 1983), shrunk. What it is worth on OpenMoji:
docs/decisions/0008-tag-learner.md. All tags instead of the likeliest cost LRAP.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

from models.tagging.arrays import Float32, Int32, Int64, ragged

LIKELIEST = 4  # tags of an image that are evidence for others
STRENGTH = 0.12
LEAST = 2  # images that carry both
MOST = 32  # co-occurring tags of a tag, the strongest; 16 cost 0.001 of average precision on OpenMoji
SHRINK = 3.0  # images added to each count, so that rare tags do not outweigh others
_SMALL = 1 << 16  # rows below which a pair fits 32 bits, which sort twice as fast


@dataclass(frozen=True, slots=True, eq=False)
class CoOccurrence:
    """The co-occurring tags of each tag, the strongest first.

    Attributes:
        starts: where those of each tag begin, int64 [T + 1]; a tag that is newer than this has none.
        tags: their rows, int32 [P].
        strengths: s_uv, float32 [P].
    """

    starts: Int64
    tags: Int32
    strengths: Float32

    @classmethod
    def none(cls) -> "CoOccurrence":
        """Before anything was learned."""
        return cls(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))

    @classmethod
    def of(cls, images: Sequence[Sequence[int]], tags: int) -> "CoOccurrence":
        """Count which of the rows 0 .. tags - 1 are on the same images; 0.2 s for 50,000 images with ten tags each."""
        rows = np.fromiter((row for carried in images for row in carried), np.int64)
        lengths = np.fromiter(map(len, images), np.int64, len(images))
        pairs, both = _met_often(rows, lengths, tags)
        counts = np.bincount(rows, minlength=tags) + SHRINK
        one, other = np.divmod(pairs.astype(np.int64), max(tags, 1))
        strengths = np.tile(STRENGTH * both / np.sqrt(counts[one] * counts[other]), 2)
        of_tag, other = np.concatenate([one, other]), np.concatenate([other, one])
        order = np.lexsort((other, -strengths, of_tag))
        starts = np.searchsorted(of_tag[order], np.arange(tags + 1))
        kept = order[np.arange(len(order)) - starts[of_tag[order]] < MOST]
        starts = np.searchsorted(of_tag[kept], np.arange(tags + 1))
        return cls(starts, other[kept].astype(np.int32), strengths[kept].astype(np.float32))

    def without(self, rows: Sequence[int]) -> "CoOccurrence":
        """As if these tags had never occurred with others: their rows will belong to other tags."""
        of_tag = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        kept = ~(np.isin(self.tags, rows) | np.isin(of_tag, rows))
        starts = np.searchsorted(of_tag[kept], np.arange(len(self.starts)))
        return CoOccurrence(starts, self.tags[kept], self.strengths[kept])

    def spread(
        self, images: Int64, tags: Int32, weights: Float32, expected: Float32, priors: Float32
    ) -> tuple[Int64, Int64, Float32]:
        """The evidence of neighbours' tags, and of what co-occurs with the likeliest of them.

        Args:
            images: for each tag of a neighbour, the image that it is a neighbour of, ascending [P].
            tags: its row [P].
            weights: the neighbour's weight [P].
            expected: the sum of all weights of each image [B].
            priors: of all tags [T].

        Returns:
            (image, tag, evidence), each [Q]: one for each pair of image and neighbours' tag, then those of co-occurring
            tags, where a pair may come again.
        """
        bounds = np.searchsorted(images, np.arange(len(expected) + 1))
        once = csr_matrix((weights, tags, bounds), shape=(len(expected), len(priors)))
        once.sum_duplicates()
        image, tag = np.repeat(np.arange(len(expected)), np.diff(once.indptr)), once.indices.astype(np.int64)
        beyond = once.data - expected[image] * priors[tag]
        beyond[tag >= len(self.starts) - 1] = 0.0  # new tags have no others
        likeliest = _likeliest(beyond, once.indptr.tolist())
        of_likeliest, others = ragged(self.starts, tag[likeliest])
        owner = likeliest[of_likeliest]
        gained = np.sqrt(beyond[owner]) * self.strengths[others]
        return (
            np.concatenate([image, image[owner]]),
            np.concatenate([tag, self.tags[others].astype(np.int64)]),
            np.concatenate([once.data, gained]),
        )


def _likeliest(beyond: Float32, bounds: list[int]) -> Int64:
    """Positions of the `LIKELIEST` positive numbers between one bound and the next."""
    found = [np.empty(0, np.int64)]
    for start, stop in itertools.pairwise(bounds):
        most = min(LIKELIEST, stop - start)
        if most:
            best = start + np.argpartition(-beyond[start:stop], most - 1)[:most]
            found.append(best[beyond[best] > 0])
    return np.concatenate(found)


def _met_often(rows: Int64, lengths: Int64, tags: int) -> tuple[Int64, Int64]:
    """Pairs of rows as `smaller * tags + larger`, ascending, that are on `LEAST` images together, and on how many."""
    wide: Any = np.uint32 if tags <= _SMALL else np.uint64
    starts = np.cumsum(lengths) - lengths
    found = [np.empty(0, wide)]
    for length in np.unique(lengths[lengths > 1]):
        of_images = np.sort(rows[starts[lengths == length][:, None] + np.arange(length)], axis=1).astype(wide)
        smaller, larger = np.triu_indices(length, 1)
        found.append((of_images[:, smaller] * wide(tags) + of_images[:, larger]).reshape(-1))
    pairs = np.sort(np.concatenate(found))
    first = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]])[: len(pairs)])
    both = np.diff(np.append(first, len(pairs)))
    often = both >= LEAST
    return pairs[first[often]].astype(np.int64), both[often]
