"""What the index is asked, whoever answers: Qdrant Edge in this process or another, or a Qdrant server.

One collection holds three kinds of points. *Images* carry the vector `image` and a payload. *Tombstones* and *offsets*
carry a payload and no vector, so no search ever meets them. An offset travels in the same write as the images it
covers: state and offset are one unit. Every write is conditional, point by point, on versions that only grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from stream.log.positions import StoredOffset

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True)
class IndexRecord:
    """One image as the index holds it.

    `vector` is float32 [D] of unit length, exactly representable as int16/32767 (models.quantise); None in a tombstone
    or where it was not asked for. `image_position` and `tags_position` come from `position_of`.
    """

    image_id: str
    image_position: int
    tags_position: int
    payload: dict[str, Any] = field(default_factory=dict)
    vector: Vector | None = None
    deleted: bool = False


@dataclass(frozen=True)
class Hit:
    """One search result; `score` is the inner product, the cosine for unit vectors."""

    image_id: str
    score: float
    payload: dict[str, Any]
    vector: Vector | None = None


@dataclass(frozen=True)
class TagFilter:
    """A condition on tags: images that carry one of `names`, only those `among` these ids if any, `without` those."""

    names: tuple[str, ...]
    among: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


TagFilters: TypeAlias = Sequence[Sequence[TagFilter]]  # of every group, one condition must hold; no group is empty


class VectorIndex(Protocol):
    """The contract both Qdrants keep (tests/contract/test_index.py).

    Every method may raise IndexUnavailableError (try again later) and blocks until the answer is there. `write` is
    durable on return as far as the process can fail; `flush` also covers the machine.
    """

    def open(self, encoder_version: str, dimension: int) -> None:
        """Create what is missing.

        Raises:
            EncoderMismatchError: the collection holds vectors of another encoder version or dimension.
        """

    def write(self, records: Sequence[IndexRecord], offsets: Sequence[StoredOffset]) -> None:
        """Upsert in one operation. A point that is newer in the index than in the call stays as it is.

        Raises:
            ValueError: a vector is not finite or has the wrong length; nothing was written.
        """

    def fetch(self, image_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, IndexRecord]:
        """The records of these images, tombstones included; unknown ids are missing from the answer."""

    def search(self, vector: Vector, limit: int, *, tags: TagFilters = (), with_vectors: bool = False) -> list[Hit]:
        """Nearest images by inner product, best first; only those that meet a condition of every group of `tags`."""

    def scroll(self, cursor: str | None, limit: int, *, with_vectors: bool = False) -> tuple[list[Hit], str | None]:
        """A page of all images in a stable order and the cursor of the next page, None at the end."""

    def find_sha256(self, sha256: str, limit: int) -> list[Hit]:
        """Images whose bytes have this hash, in no order."""

    def offsets(self) -> list[StoredOffset]:
        """All stored offsets."""

    def count(self) -> int:
        """Number of images, tombstones not counted."""

    def flush(self) -> None:
        """Make everything written survive a power cut."""

    def close(self) -> None:
        """Release what the adapter holds."""
