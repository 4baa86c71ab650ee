"""What the tags on images mean after operations on tags: the index keeps them as people wrote them.

In: the tags of the version that serves, and names as the index holds them. Out: names to show, what follows from them,
and filters that find every image that carries a tag, by itself or by implication. Pure. A name that the learner has not
met yet stands for itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from models.tagging.applied_operation import split_row
from models.tagging.memory.implications import ancestors, direct_of, following
from models.tagging.memory.names import normalise_tag
from models.tagging.serving.catalogue import TagCatalogue
from models.tagging.serving.snapshot import Snapshot
from stream.index.contract import TagFilter

INNER = "\0"  # begins names of the learner's own; no tag that people write holds a control character
FORGOTTEN = INNER + "forgotten "  # begins what a forgotten name means


@dataclass(frozen=True)
class _Move:
    """What a split did to an image: these names of it count for the row between, called `to`."""

    names: frozenset[str]
    to: str


Moves: TypeAlias = tuple[_Move, ...]  # of one image, oldest first


class TagNames:
    """Names and their meanings under one snapshot; None while none serves, when every name means itself."""

    def __init__(self, catalogue: TagCatalogue | None) -> None:
        self._catalogue = catalogue
        self._forgotten: set[str] = set()
        self._others: dict[str, list[str]] = {}  # by tag, the other names that mean it
        self._implied: dict[int, list[int]] = {}  # by row of a tag, those that it implies
        self._moves: dict[str, Moves] = {}  # by image
        self._moved: dict[Moves, list[str]] = {}  # and the other way round
        if catalogue is not None and catalogue.snapshot.operations:
            self._read(catalogue.snapshot)

    def _read(self, snapshot: Snapshot) -> None:
        names, aliases = snapshot.names, dict(snapshot.aliases)
        served = {names[row] for row in np.flatnonzero(~snapshot.columns.hidden)}
        self._implied = direct_of(snapshot.implied)
        self._forgotten = set(names) - served - aliases.keys()
        for name, row in aliases.items():
            if name not in served and not name.startswith(INNER):
                self._others.setdefault(names[row], []).append(name)
        for operation in snapshot.operations:
            if operation.kind == "split" and operation.active:
                for image_id, rows in operation.moved:
                    move = _Move(frozenset(names[row] for row in rows), split_row(operation.operation_id))
                    self._moves[image_id] = (*self._moves.get(image_id, ()), move)
        for image_id, moves in self._moves.items():
            self._moved.setdefault(moves, []).append(image_id)

    def meaning(self, name: str, moves: Moves = ()) -> str:
        """The tag that a normalised name counts for on an image with these moves.

        For a name that was forgotten, something that begins with FORGOTTEN.
        """
        for move in moves:
            name = move.to if name in move.names else name
        if self._catalogue is None:
            return name
        if name in self._forgotten:
            return FORGOTTEN + name
        row = self._catalogue.find(name)
        return name if row is None else self._catalogue.snapshot.names[row]

    def shown(self, image_id: str, names: Iterable[str]) -> list[str]:
        """The tags of an image as they are called now, forgotten ones left out."""
        moves = self._moves.get(image_id, ())
        meanings = dict.fromkeys(self.meaning(name, moves) for name in names)
        return [meaning for meaning in meanings if not meaning.startswith(FORGOTTEN)]

    def implied(self, tags: Iterable[str]) -> list[str]:
        """What follows from the tags of an image, as `shown` gives them, and is not among them; the nearest first."""
        if self._catalogue is None or not self._implied:
            return []
        rows = [row for row in map(self._catalogue.find, tags) if row is not None]
        return [self._catalogue.snapshot.names[row] for row in following(rows, self._implied)]

    def aliases(self, tag: str) -> list[str]:
        """The other names that mean a tag of this name."""
        return sorted(self._others.get(tag, ()))

    def implications(self, tag: str) -> tuple[list[str], list[str]]:
        """What follows from a tag of this name, and what it follows from, the nearest first."""
        row = None if self._catalogue is None else self._catalogue.find(tag)
        if self._catalogue is None or row is None:
            return [], []
        snapshot = self._catalogue.snapshot
        reverse = direct_of((implied, tag) for tag, implied in snapshot.implied)
        names = [[snapshot.names[other] for other in following([row], way)] for way in (self._implied, reverse)]
        return names[0], names[1]

    def wanted(self, tag: str) -> frozenset[str]:
        """The tags of which an image must carry one to carry this one: itself, and all that imply it.

        Empty for a forgotten one.

        Raises:
            PolicyError: `tag` cannot be one.
        """
        wanted = self.meaning(normalise_tag(tag))
        if wanted.startswith(FORGOTTEN):
            return frozenset()
        row = None if self._catalogue is None else self._catalogue.find(wanted)
        if self._catalogue is None or row is None:
            return frozenset([wanted])
        snapshot = self._catalogue.snapshot
        return frozenset([wanted, *(snapshot.names[other] for other in ancestors(snapshot.implied, row))])

    def carries(self, image_id: str, names: Iterable[str], wanted: frozenset[str]) -> bool:
        """Whether an image with these names carries one of these tags."""
        moves = self._moves.get(image_id, ())
        return any(self.meaning(name, moves) in wanted for name in names)

    def filters(self, tag: str) -> tuple[TagFilter, ...]:
        """A group of conditions, one of which holds for every image that carries a tag; empty for a forgotten one.

        Raises:
            PolicyError: `tag` cannot be one.
        """
        wanted = self.wanted(tag)
        if not wanted:
            return ()
        names = tuple(name for one in sorted(wanted) for name in (one, *self._others.get(one, ())))
        conditions = []
        without: list[str] = []
        for moves, image_ids in self._moved.items():
            written = {name for move in moves for name in move.names if not name.startswith(INNER)}
            if written.isdisjoint(names) and not self._mean(written, moves, wanted):
                continue
            without.extend(image_ids)
            mine = tuple(sorted(self._mean(written.union(names), moves, wanted)))
            if mine:
                conditions.append(TagFilter(mine, among=tuple(image_ids)))
        return (TagFilter(names, without=tuple(without)), *conditions)

    def _mean(self, names: Iterable[str], moves: Moves, wanted: frozenset[str]) -> list[str]:
        return [name for name in names if self.meaning(name, moves) in wanted]
