"""A bounded memory of pairs, chosen by a function of the log position alone.

In: pairs of vectors in the order of the log. Out: distinct vectors and the pairs as indices into them, so that a
picture is scored once however many pairs name it. Two runs over the same log hold the same pairs in the same places,
whatever batches they came in and however often they were saved in between. Nothing fails.

Each position has a fixed random key that grows with the position; the pairs with the largest keys stay. This is
weighted sampling without replacement with weights exp(position / decay): all pairs at first, later a sample in which
old pairs grow slowly rarer.

Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir, Information Processing Letters 97, 2006,
algorithm A-Res (here with the logarithm of its keys).
"""

import heapq
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.ranking.published import Vectors

CAPACITY = 4096  # pairs; more made no difference that could be measured, and every block solves over all of them
DECAY = 16_384  # pairs after which an old one is e times less likely to stay than a new one: tastes change slowly

_GOLDEN = 0x9E3779B97F4A7C15  # splitmix64's increment
_MASK = (1 << 64) - 1


def position_key(seed: int, position: int, decay: int = DECAY) -> float:
    """The key of a position: a Gumbel random number made of its hash, plus position / decay.

    Source of the hash: Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014 (splitmix64).
    """
    z = (seed * _GOLDEN + (position + 1) * 0xD1342543DE82EF95) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    uniform = (((z ^ (z >> 31)) >> 11) + 0.5) / (1 << 53)
    return position / decay - math.log(-math.log(uniform))


class PairReservoir:
    """At most `capacity` pairs; one thread at a time.

    Vectors and pairs are torch's, whose memory is aligned: a product over them then always adds in the same order.
    """

    def __init__(self, dimension: int, *, seed: int, capacity: int = CAPACITY) -> None:
        self._seed = seed
        self._capacity = capacity
        self._vectors = torch.zeros(2 * capacity, dimension)
        self._names = np.zeros(2 * capacity, np.int32)  # how many pairs name a vector; 0 is a free row
        self._rows: dict[bytes, int] = {}
        self._free = list(range(2 * capacity))  # a heap: the lowest row first
        self._high = 0  # rows in use lie below
        self.pairs = torch.zeros(capacity, 2, dtype=torch.int64)
        self.weights = torch.zeros(capacity)
        self._positions = np.zeros(capacity, np.int64)
        self._keys: list[tuple[float, int]] = []  # a heap: the pair that goes next is first

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def vectors(self) -> torch.Tensor:
        """Rows float32 [V, D] that `pairs` points into; a free row holds numbers that no pair uses."""
        return self._vectors[: self._high]

    def add(self, preferred: Vectors, over: Vectors, weight: float, position: int) -> None:
        """Take one pair of vectors float32 [D], or leave it out, by its position in the log."""
        key = position_key(self._seed, position)
        if len(self._keys) < self._capacity:
            slot = len(self._keys)
            heapq.heappush(self._keys, (key, slot))
        elif key > self._keys[0][0]:
            slot = self._keys[0][1]
            heapq.heapreplace(self._keys, (key, slot))
            for row in self.pairs[slot].tolist():
                self._release(row)
        else:
            return
        self.pairs[slot] = torch.tensor([self._row(preferred), self._row(over)])
        self.weights[slot] = weight
        self._positions[slot] = position

    def _row(self, vector: Vectors) -> int:
        content = vector.tobytes()
        row = self._rows.get(content)
        if row is None:
            row = heapq.heappop(self._free)
            self._rows[content] = row
            self._vectors[row] = torch.from_numpy(vector)
            self._high = max(self._high, row + 1)
        self._names[row] += 1
        return row

    def _release(self, row: int) -> None:
        self._names[row] -= 1
        if self._names[row] == 0:
            del self._rows[self._vectors[row].numpy().tobytes()]
            heapq.heappush(self._free, row)

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes."""
        count = len(self)
        return {
            "reservoir_vectors": self.vectors.numpy().copy(),
            "reservoir_pairs": self.pairs[:count].numpy().copy(),
            "reservoir_weights": self.weights[:count].numpy().copy(),
            "reservoir_positions": self._positions[:count].copy(),
        }

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Fill this new reservoir with what `state` gave; every vector and every pair is in its old place."""
        vectors, pairs = arrays["reservoir_vectors"], arrays["reservoir_pairs"]
        count, self._high = len(pairs), len(vectors)
        self._vectors[: self._high] = torch.tensor(vectors)
        self.pairs[:count] = torch.tensor(pairs)
        self.weights[:count] = torch.tensor(arrays["reservoir_weights"])
        self._positions[:count] = arrays["reservoir_positions"]
        self._names[:] = np.bincount(pairs.ravel(), minlength=2 * self._capacity)
        self._rows = {vectors[row].tobytes(): row for row in range(self._high) if self._names[row]}
        self._free = [row for row in range(2 * self._capacity) if not self._names[row]]
        self._keys = [(position_key(self._seed, int(self._positions[slot])), slot) for slot in range(count)]
        heapq.heapify(self._keys)
