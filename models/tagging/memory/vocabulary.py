"""Which row a tag has. Rows are given in order of first use; only that of a cold tag is ever given again."""

import heapq
from collections.abc import Iterable

from models.tagging.memory.names import normalise_tag

_CACHE = 200_000  # spellings remembered as written; cleared when full, so a flood of spellings cannot fill memory


class Vocabulary:
    """Names of the rows, and the log position at which each was first used.

    Attributes:
        names: of the rows; empty for a row that has no tag now.
        first_seen: log positions.
        free: a heap of the rows that have no tag now.
        detached: rows whose name is not theirs: its next use gets a row of its own.
        changed: rows with another name, position or owner of the name since the store last took them.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.first_seen: list[int] = []
        self.free: list[int] = []
        self.detached: set[int] = set()
        self.changed: set[int] = set()
        self._row: dict[str, int] = {}
        self._as_written: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.names)

    def check(self, texts: Iterable[str]) -> None:
        """Refuse what cannot be a tag before anything is changed.

        Raises:
            PolicyError: see `normalise_tag`.
        """
        for text in set(texts).difference(self._as_written):
            normalise_tag(text)

    def known(self, texts: Iterable[str]) -> set[int] | None:
        """Rows of tags all of which were met as written before; None when one was not."""
        try:
            return set(map(self._as_written.__getitem__, texts))
        except KeyError:
            return None

    def find(self, text: str) -> int | None:
        """Row of a tag as written, if it has one."""
        row = self._as_written.get(text)
        return row if row is not None else self._row.get(normalise_tag(text))

    def row(self, text: str, position: int) -> int:
        """Row of a tag as written; a new one gets the next row."""
        row = self._as_written.get(text)
        if row is not None:
            return row
        name = normalise_tag(text)
        row = self._row.get(name)
        if row is None:
            row = self.add(name, position)
        if len(self._as_written) >= _CACHE:
            self._as_written.clear()
        self._as_written[text] = row
        return row

    def add(self, name: str, position: int) -> int:
        """Give a row to a normalised name that has none: the smallest free one."""
        if self.free:
            row = heapq.heappop(self.free)
            self.names[row], self.first_seen[row] = name, position
        else:
            row = len(self.names)
            self.names.append(name)
            self.first_seen.append(position)
        self._row[name] = row
        self.changed.add(row)
        return row

    def release(self, row: int) -> None:
        """Take a row from its tag, for others."""
        del self._row[self.names[row]]
        self.names[row] = ""
        self.changed.add(row)
        heapq.heappush(self.free, row)
        self._as_written.clear()

    def restore(self, names: Iterable[str], first_seen: Iterable[int], detached: Iterable[int]) -> None:
        """Fill an empty vocabulary."""
        self.names, self.first_seen, self.detached = list(names), list(first_seen), set(detached)
        self.free = [row for row, name in enumerate(self.names) if not name]
        self._row = {name: row for row, name in enumerate(self.names) if name and row not in self.detached}

    def detach(self, row: int) -> None:
        """Let go of a row's name: its next use gets a row of its own."""
        if row not in self.detached:
            del self._row[self.names[row]]
            self._as_written.clear()
            self.detached.add(row)
            self.changed.add(row)

    def attach(self, row: int) -> int | None:
        """Give a row its name back, unless another has it by now: then that one is returned."""
        holder = self._row.setdefault(self.names[row], row)
        if holder != row:
            return holder
        self.detached.discard(row)
        self.changed.add(row)
        return None
