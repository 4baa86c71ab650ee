"""Which pictures are held out, and in which order the others are read.

In: ids, looks, a seed. Out: rows. Nothing fails.

A picture is held out by a hash of its id: adding pictures moves none. Near duplicates stand on one side, since a copy
of a training picture says nothing about what was understood.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.look import Looks, read_look

HELD_OUT = 0.1  # of the pictures
CHUNK = 15_000  # rows that are read at once and shuffled in memory; a disk is read in its own order

Rows = NDArray[np.int64]


def held_out(ids: Sequence[str], looks: Mapping[str, bytes], *, seed: int, share: float = HELD_OUT) -> list[int]:
    """Rows held out, in order; one at least. One that is a near copy of a training picture is trained on as well."""
    scores = [_score(name, seed) for name in ids]
    apart = [row for row, score in enumerate(scores) if score < share] or [int(np.argmin(scores))]
    left = set(apart)
    known = Looks(len(ids))
    for row, name in enumerate(ids):
        look = read_look(looks.get(name, b""))
        if row not in left and look is not None:
            known.add(look)
    moved = True
    while moved and len(left) > 1:  # one that moves may have copies among those that were held out with it
        moved = False
        for row in sorted(left):
            look = read_look(looks.get(ids[row], b""))
            if look is not None and len(left) > 1 and next(known.near(look), None) is not None:
                left.discard(row)
                known.add(look)
                moved = True
    return sorted(left)


def _score(name: str, seed: int) -> float:
    """A number from 0 to 1 that only the id and the seed decide."""
    digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8, salt=seed.to_bytes(8, "little"))
    return int.from_bytes(digest.digest(), "little") / 2**64


def chunks(rows: Sequence[int], chance: np.random.Generator, size: int = CHUNK) -> Iterator[Rows]:
    """All rows once, in random pieces of `size` at most, each to be read at once and shuffled again in memory."""
    order = chance.permutation(np.asarray(rows, np.int64))
    for start in range(0, len(order), size):
        yield np.sort(order[start : start + size])


def batches(count: int, size: int, chance: np.random.Generator) -> Iterator[Rows]:
    """Places 0..count in shuffled batches; a last one that is a single place joins the one before it.

    Batch norm has no deviation of one picture.
    """
    order = chance.permutation(count)
    starts = list(range(0, count, size))
    if len(starts) > 1 and count - starts[-1] < 2:
        starts.pop()
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else count
        yield order[start:end]
