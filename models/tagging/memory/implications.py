"""Implications between tags, in an order in which one pass over them carries probabilities as far as they go.

In: pairs of rows (tag, what it implies). Out: the same relation as pairs to go through once, linear in their number;
what an image carries by it, and how many images do; and whether one more pair would close a circle.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import chain, pairwise

import numpy as np
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from models.tagging.arrays import Int64

Pair = tuple[int, int]


def in_one_pass(pairs: Collection[Pair]) -> tuple[Pair, ...]:
    """Order pairs (tag, implied) so that `p[implied] = max(p[implied], p[tag])`, once for each, reaches a fixed point.

    Tags that imply each other in a circle are one component (Tarjan 1972); components come in topological order.
    Within one of k tags, k - 1 pairs carry the largest probability to the last tag and k - 1 carry it back to all.
    """
    circles = _circles(pairs)
    circle_of = {tag: number for number, circle in enumerate(circles) for tag in circle}
    leaving: dict[int, list[Pair]] = {number: [] for number in range(len(circles))}
    sorter: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(range(len(circles)), ()))
    for tag, implied in sorted(pairs):
        source, target = circle_of[tag], circle_of[implied]
        if source != target:
            leaving[source].append((tag, implied))
            sorter.add(target, source)
    ordered: list[Pair] = []
    for number in sorter.static_order():
        circle = circles[number]
        ordered += [*pairwise(circle), *pairwise(reversed(circle)), *leaving[number]]
    return tuple(ordered)


def _circles(pairs: Collection[Pair]) -> list[list[int]]:
    """The strongly connected components of the tags in pairs, each ascending; most are one tag alone."""
    if not pairs:
        return []
    tags, ends = np.unique(np.array(sorted(pairs), np.int64), return_inverse=True)
    sources, targets = ends.reshape(-1, 2).T
    graph = coo_array((np.ones(len(sources)), (sources, targets)), shape=(len(tags), len(tags)))
    count, labels = connected_components(graph, connection="strong")
    circles: list[list[int]] = [[] for _ in range(count)]
    for tag, label in zip(tags.tolist(), labels.tolist(), strict=True):
        circles[label].append(tag)
    return circles


def ancestors(pairs: Sequence[Pair], tag: int) -> set[int]:
    """All tags that imply a tag, however far, itself not among them; `pairs` as `in_one_pass` orders them."""
    found = {tag}
    for source, implied in reversed(pairs):
        if implied in found:
            found.add(source)
    return found - {tag}


def circle_through(start: int, implied: Mapping[int, Collection[int]]) -> list[int]:
    """The shortest way along implications from a tag back to itself, with the tag at both ends; empty if there is none.

    Of ways of one length it is always the same, in whatever order the implications came.
    """
    came_from: dict[int, int] = {}
    waiting = deque([start])
    while waiting:
        tag = waiting.popleft()
        for into in sorted(implied.get(tag, ())):
            if into == start:
                way = [start, tag]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if into not in came_from:
                came_from[into] = tag
                waiting.append(into)
    return []


def direct_of(pairs: Iterable[Pair]) -> dict[int, list[int]]:
    """By tag, what it implies by itself."""
    direct: dict[int, list[int]] = {}
    for tag, implied in pairs:
        direct.setdefault(tag, []).append(implied)
    return direct


def following(tags: Iterable[int], direct: Mapping[int, Collection[int]]) -> list[int]:
    """What follows from these tags, however far, and is not among them; the nearest first."""
    found = dict.fromkeys(tags)
    own = len(found)
    waiting = deque(tag for tag in found if tag in direct)
    while waiting:
        for implied in direct.get(waiting.popleft(), ()):
            if implied not in found:
                found[implied] = None
                waiting.append(implied)
    return list(found)[own:]


class ImpliedCounts:
    """How many images carry each tag by implication alone: one that implies it, and not the tag itself.

    Exact: what an image adds is taken back when it changes. Memory is bounded by what tags imply.

    Attributes:
        pairs: the implications, as `in_one_pass` gives them.
    """

    def __init__(self, pairs: tuple[Pair, ...] = ()) -> None:
        self.pairs = pairs
        self._direct = direct_of(pairs)
        self._far: dict[int, list[int]] = {}  # by tag, all that it implies however far; filled as tags are met
        self._counts: Counter[int] = Counter()

    @property
    def sources(self) -> Collection[int]:
        """Tags that imply another."""
        return self._direct.keys()

    def add(self, images: Iterable[Collection[int]]) -> None:
        """Count images that carry these tags: 4 µs each where they carry 20."""
        self._counts.update(chain.from_iterable(map(self._beyond, images)))

    def replace(self, old: Collection[int], new: Collection[int]) -> None:
        """Let an image carry the tags `new` instead of `old`."""
        if self._direct and old != new:
            before, after = self._beyond(old), self._beyond(new)
            self._counts.subtract(before - after)
            self._counts.update(after - before)

    def _beyond(self, tags: Collection[int]) -> set[int]:
        """What follows from the tags of an image and is not among them."""
        found: set[int] = set()
        for tag in tags:
            if tag in self._direct:
                far = self._far.get(tag)
                if far is None:
                    far = self._far[tag] = following([tag], self._direct)
                found.update(far)
        return found.difference(tags)

    def array(self, rows: int) -> Int64:
        """Of the tags 0 .. rows - 1."""
        counts = np.zeros(rows, np.int64)
        counts[list(self._counts)] = list(self._counts.values())
        return counts
