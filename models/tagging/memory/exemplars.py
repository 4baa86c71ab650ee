"""The exemplars: the labelled images with the smallest hashes of their ids, bounded, the same in whatever order.

Two shards' sets merge into the set of all; a member that leaves makes room for the next smallest hash, which the
caller looks up in the image memory. Slots are storage, not state: nothing learned depends on them.
"""

import hashlib
import heapq
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.quantise import SCALE
from models.tagging.arrays import Float32, Int16, Int32, Int64, UInt64, ragged
from models.tagging.memory.chunks import CHUNK, Chunks, CopyOnWrite

MAX_EXEMPLARS = 50_000  # 51 MB as int16; see docs: evidence grows slowly beyond
Tags = tuple[int, ...]


def signs(vectors: Float32) -> UInt64:
    """Signs of vectors [N, D] as 64-bit words [N, D / 64], the last one filled up."""
    words = -(-vectors.shape[1] // 64)
    packed = np.zeros((len(vectors), 8 * words), np.uint8)
    packed[:, : -(-vectors.shape[1] // 8)] = np.packbits(vectors > 0, axis=1)
    return packed.view(np.uint64)


def image_hash(image_id: str) -> int:
    """63 bits of BLAKE2b over the id: non-negative, so that SQLite sorts it as we do."""
    return int.from_bytes(hashlib.blake2b(image_id.encode(), digest_size=8).digest(), "big") >> 1


@dataclass(frozen=True, eq=False)
class Exemplars:
    """One version of the set.

    Attributes:
        vectors: quantised embeddings, as float32 [N, D].
        hashes: of the image ids, int64 [N].
        tags: for each chunk of slots (where the tag rows of each slot end, int32 [n + 1]; the tag rows, int32 [P]).
    """

    vectors: Chunks
    hashes: Chunks
    tags: tuple[tuple[Int32, Int32], ...]

    def __len__(self) -> int:
        return len(self.hashes)

    @cached_property
    def csr(self) -> tuple[Int64, Int32]:
        """(where the tag rows of each slot begin, int64 [N + 1]; the tag rows, int32 [P]) over all chunks."""
        lengths = np.concatenate([np.zeros(1, np.int64), *(np.diff(ends) for ends, _ in self.tags)])
        return np.cumsum(lengths), np.concatenate([np.empty(0, np.int32), *(rows for _, rows in self.tags)])

    def tags_of(self, slots: Int64) -> tuple[Int64, Int32]:
        """Tag rows of slots [S]: (position in `slots` [P], tag row [P])."""
        starts, rows = self.csr
        owner, at = ragged(starts, slots)
        return owner, rows[at]


class ExemplarSet:
    """The learner's set, which changes with every labelled image that belongs to it; for the learner's thread alone."""

    def __init__(self, dimension: int, capacity: int = MAX_EXEMPLARS) -> None:
        """Begin empty; `capacity` images fit."""
        self.capacity = capacity
        self._slot: dict[int, int] = {}
        self._hash: list[int] = []
        self._tags: list[Tags] = []
        self._largest: list[int] = []  # heap of negated hashes; may name some that have left
        self._vectors = CopyOnWrite(Chunks.of(np.empty((0, dimension), np.float32)))
        self._waiting: dict[int, Int16] = {}  # vectors not yet written to their slots
        self._parts: list[tuple[Int64, tuple[Int32, Int32]] | None] = []  # hashes, tag rows; None: changed since

    def __len__(self) -> int:
        return len(self._hash)

    def __contains__(self, key: int) -> bool:
        return key in self._slot

    @property
    def limit(self) -> int:
        """The largest hash in a full set; a new one must lie below. 2^63 while there is room."""
        return self.largest if len(self._hash) >= self.capacity else 1 << 63

    @property
    def largest(self) -> int:
        """The largest hash in the set; it must not be empty."""
        while -self._largest[0] not in self._slot:
            heapq.heappop(self._largest)
        return -self._largest[0]

    def slots(self, hashes: list[int]) -> Int64:
        """Slots [S] of those that are members."""
        return np.array([self._slot[key] for key in hashes if key in self._slot], np.int64)

    def put(self, key: int, vector: Int16, tags: Tags) -> None:
        """Let a labelled image with this hash and vector [D] in, or change it; one too many pushes the largest out."""
        slot = self._slot.get(key)
        if slot is None:
            limit = self.limit if self.capacity else 0
            if key >= limit:
                return
            if len(self._hash) >= self.capacity:
                slot = self._slot.pop(limit)
            else:
                slot = len(self._hash)
                self._hash.append(key)
                self._tags.append(())
                if slot // CHUNK == len(self._parts):
                    self._parts.append(None)
            self._slot[key], self._hash[slot] = slot, key
            heapq.heappush(self._largest, -key)
        self._tags[slot] = tags
        self._waiting[slot] = vector
        self._parts[slot // CHUNK] = None

    def retag(self, key: int, tags: Tags) -> None:
        """Change the tags of a member."""
        slot = self._slot[key]
        self._tags[slot] = tags
        self._parts[slot // CHUNK] = None

    def drop(self, key: int) -> None:
        """Take a member out; the last slot moves into its place."""
        self._flush()
        slot = self._slot.pop(key)
        last = len(self._hash) - 1
        if slot != last:
            moved = self._hash[last]
            self._hash[slot], self._tags[slot], self._slot[moved] = moved, self._tags[last], slot
            self._vectors.write(np.array([slot]), self._vectors.freeze().take(np.array([last])))
        self._hash.pop()
        self._tags.pop()
        self._vectors.resize(last)
        self._parts[slot // CHUNK] = None
        self._parts[last // CHUNK] = None
        del self._parts[-(-last // CHUNK) :]

    def _flush(self) -> None:
        self._vectors.resize(len(self._hash))
        if self._waiting:
            slots = np.fromiter(self._waiting, np.int64, len(self._waiting))
            self._vectors.write(slots, np.stack(list(self._waiting.values())).astype(np.float32))
            self._waiting.clear()

    def present(self) -> Exemplars:
        """The set as it is now, without tags, to be used before it changes: nothing is copied."""
        self._flush()
        return Exemplars(self._vectors.view(), Chunks.of(np.array(self._hash, np.int64)), ())

    def tags_of(self, slots: Int64) -> tuple[Int64, Int32]:
        """Tag rows of slots [S]: (position in `slots` [P], tag row [P])."""
        used, where = np.unique(slots, return_inverse=True)
        starts, rows = _rows_of([self._tags[slot] for slot in used.tolist()])
        owner, at = ragged(starts, where)
        return owner, rows[at]

    def tags(self) -> list[Tags]:
        """Tag rows of all members, in no order."""
        return self._tags

    def freeze(self) -> Exemplars:
        """The present version; chunks that did not change are those of the version before."""
        self._flush()
        for index, part in enumerate(self._parts):
            if part is None:
                slots = slice(index * CHUNK, (index + 1) * CHUNK)
                self._parts[index] = (np.array(self._hash[slots], np.int64), _rows_of(self._tags[slots]))
        ready = [part for part in self._parts if part is not None]
        hashes = Chunks(tuple(part[0] for part in ready), np.empty(0, np.int64))
        return Exemplars(self._vectors.freeze(), hashes, tuple(part[1] for part in ready))


def _rows_of(tags: list[Tags]) -> tuple[Int32, Int32]:
    ends = np.zeros(len(tags) + 1, np.int32)
    np.cumsum([len(of_slot) for of_slot in tags], out=ends[1:])
    return ends, np.array([row for of_slot in tags for row in of_slot], np.int32)


def unit(quantised: Float32) -> Float32:
    """Quantised embeddings [..., D] as numbers in [-1, 1]."""
    return quantised / np.float32(SCALE)
