"""What each row of the vocabulary counts for: itself, the tag it was merged into, or nothing.

Images keep the rows as people wrote them. Only rows that do not count for themselves take memory here.
"""

from collections.abc import Iterable, Iterator

NOTHING = -1  # what a forgotten row counts for


class TagMapping:
    """Rows to the tags they count for. A tag that rows count for counts for itself."""

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        """Begin with these (row, what it counts for); every other row counts for itself."""
        self._target: dict[int, int] = {}
        self._members: dict[int, set[int]] = {}  # the same the other way round
        for row, target in pairs:
            self.put(row, target)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(row, what it counts for) of every row that does not count for itself."""
        return iter(self._target.items())

    def of(self, row: int) -> int:
        """What a row counts for; `NOTHING` for a forgotten one."""
        return self._target.get(row, row)

    def tags(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """What rows, ascending, count for together: ascending, each once."""
        if not self._target:
            return rows
        return tuple(sorted({self._target.get(row, row) for row in rows} - {NOTHING}))

    def members(self, rows: Iterable[int]) -> set[int]:
        """All rows that count for what one of these counts for; forgotten rows have no company."""
        tags = {self.of(row) for row in rows} - {NOTHING}
        return tags.union(*(self._members.get(tag, ()) for tag in tags))

    def put(self, row: int, target: int) -> None:
        """Let a row that counts for itself, and that no other counts for, count for a tag."""
        self._target[row] = target
        self._members.setdefault(target, set()).add(row)

    def move(self, rows: Iterable[int], target: int) -> None:
        """Let these rows, and all that count for the same, count for a tag or for `NOTHING`."""
        for row in self.members(rows) - {target}:
            self._members.get(self.of(row), set()).discard(row)
            self.put(row, target)

    def differing(self, other: "TagMapping") -> set[int]:
        """Rows that count for something else in another mapping."""
        return {row for row, _ in self._target.items() ^ other._target.items()}
