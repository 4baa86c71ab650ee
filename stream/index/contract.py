"""What the index is asked, whoever answers: Qdrant Edge in this process or another, or a Qdrant server.

One collection holds images and offsets. An *image* that is there carries the vector `image` and a payload. A
*tombstone*, an image that events *wait* for, and an *offset* carry a payload and no vector, so no search ever meets
them. Images are written before the offsets that cover them: a server with several shards writes no two points as one.
Every write is conditional, point by point, on a position that only grows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from stream.index.payload import ImagePayload, IndexRecord, Vector
from stream.log.reading.positions import StoredOffset


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result; `score` is the inner product, the cosine for unit vectors.

    Where `is_part`, it is that of an object in the image (stream.index.parts), which the image index does not know.
    """

    image_id: str
    score: float
    payload: ImagePayload
    vector: Vector | None = None
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class TagFilter:
    """A condition on tags: images that carry one of `names`, only those `among` these ids if any, `without` those."""

    names: tuple[str, ...]
    among: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Range:
    """A condition on a number that the index keeps of each image: within bounds, these included; None: no bound."""

    field: Literal["posted_s", "width_px", "height_px", "aspect"]
    low: float | None = None
    high: float | None = None


Terms: TypeAlias = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Which images a search is among; all that is given must hold.

    Attributes:
        tags: of every group, one filter must hold; no group is empty.
        without: none of these filters may hold.
        ranges: all of these must hold.
        terms: of every group, one must be among the terms of the image, see stream.index.terms.
        unsaid: none of these may be there as `terms` are.
        among: only these images, if any are named.
    """

    tags: tuple[tuple[TagFilter, ...], ...] = ()
    without: tuple[TagFilter, ...] = ()
    ranges: tuple[Range, ...] = ()
    terms: Terms = ()
    unsaid: tuple[Terms, ...] = ()
    among: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexDescription:
    """How the index is kept, as whoever keeps it says; None: not known, or nothing that one can choose there.

    Attributes:
        kept_by: "Qdrant Edge" or "Qdrant server".
        collection: its folder or its name.
        status: of the optimisers of a server: green when all is indexed.
        points: images and everything else that has a place.
        indexed: vectors that are in a graph.
        quantization: what a search goes through first.
        rescore: whether floats score what it finds.
        oversampling: candidates for each result.
        least_candidates: of each search.
        vectors_on_disk: whether floats are read from the disk.
        shards: of the collection.
        replicas: of each shard.
        write_consistency: replicas that have a write before it is done.
    """

    kept_by: str
    collection: str
    status: str
    points: int
    indexed: int
    quantization: str
    rescore: bool
    oversampling: float
    least_candidates: int
    vectors_on_disk: bool | None = None
    shards: int | None = None
    replicas: int | None = None
    write_consistency: int | None = None


ALL = Condition()
Kind: TypeAlias = Literal["image", "waiting", "tombstone"]


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
        """Upsert the records, then the offsets. A point that is newer in the index than in the call stays as it is.

        Raises:
            ValueError: a vector is not finite or has the wrong length; nothing was written.
        """

    def fetch(
        self, image_ids: Sequence[str], *, with_vectors: bool = False, with_raw: bool = False
    ) -> dict[str, IndexRecord]:
        """The records of these images, tombstones included; unknown ids are missing from the answer.

        A record that is to be written again needs both, the vector and the raw features in its payload.
        """

    def search(
        self, vector: Vector, limit: int, condition: Condition = ALL, *, with_vectors: bool = False
    ) -> list[Hit]:
        """Nearest images by inner product, best first, equal ones by id; only those that the condition holds for."""

    def scroll(
        self, cursor: str | None, limit: int, condition: Condition = ALL, *, with_vectors: bool = False,
        with_raw: bool = False,
    ) -> tuple[list[Hit], str | None]:  # fmt: skip
        """A page of the images that the condition holds for, in a stable order, and the cursor of the next page, None
        at the end.
        """

    def scroll_waiting(self, cursor: str | None, limit: int) -> tuple[list[IndexRecord], str | None]:
        """A page of the images that events wait for: not there, or with a picture still to be decoded; as `scroll`."""

    def find_sha256(self, sha256: str, limit: int) -> list[Hit]:
        """Images whose bytes have this hash, in no order."""

    def offsets(self) -> list[StoredOffset]:
        """All stored offsets."""

    def count(self, kind: Kind = "image", *, exact: bool = True) -> int:
        """How many there are of a kind. What is shown or probed asks for no exact number: one point after another is
        looked at for that, 12 ms for 50,000. The index on `kind` says it in less than 1 ms whatever the size, in Qdrant
        Edge just as well; a server estimates while it optimises.
        """

    def describe(self) -> IndexDescription:
        """How the index is kept."""

    def flush(self) -> None:
        """Make everything written survive a power cut."""

    def close(self) -> None:
        """Release what the adapter holds."""
