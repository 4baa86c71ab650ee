"""Operations on tags: merge, split, rename, alias, forget, imply, undo.

Images keep the rows as people wrote them; what a row counts for is a mapping, and every operation is an edit of it.
The mapping is made anew from the operations in force, so an undo leaves what would be there without the operation, to
the bit: a merged tag has the sums of relearning from the merged log, an undone merge those of before.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from models.errors import PolicyError
from models.tagging.examples import OperationRow, TagOperation
from models.tagging.memory.sufficient_statistics import SufficientStatistics

NOTHING = -1  # what a forgotten row counts for


@dataclass(slots=True)
class AppliedOperation:
    """An operation as carried out.

    Attributes:
        operation_id: its name on the log.
        kind: of operation.
        tags: the tags operated on, as written.
        into: the tag that results, as written.
        rows: rows of the tags when it was carried out.
        target: row of the result; for a split the hidden row that stands between.
        created: whether `target` was new.
        moved: for a split the images moved, with the rows they had.
        active: false once undone or refused.
        outcome: "done", "undone" or why it was refused.
    """

    operation_id: str
    kind: str
    tags: tuple[str, ...]
    into: str
    rows: list[int] = field(default_factory=list)
    target: int = NOTHING
    created: bool = False
    moved: dict[str, list[int]] = field(default_factory=dict)
    active: bool = True
    outcome: str = "done"

    @property
    def refused(self) -> bool:
        """Whether it could not be done."""
        return not self.active and self.outcome != "undone"


def split_row(operation_id: str) -> str:
    """The name of the row that images moved by a split carry; nobody can write it."""
    return f"\0split {operation_id}"


class TagOperations:
    """Carries operations out on the sufficient statistics, and remembers them."""

    def __init__(self, statistics: SufficientStatistics) -> None:
        self._statistics = statistics
        self.by_id: dict[str, AppliedOperation] = {}

    def apply(self, asked: TagOperation, position: int) -> AppliedOperation:
        """Carry out one operation. What cannot be done is remembered as refused and changes nothing.

        Repeating an operation that was carried out before changes nothing either.
        """
        known = self.by_id.get(asked.operation_id)
        if known is not None:
            return known
        operation = AppliedOperation(asked.operation_id, asked.kind, asked.tags, asked.into)
        self.by_id[asked.operation_id] = operation
        try:
            refusal = self._carry_out(asked, operation, position)
        except PolicyError as error:
            refusal = str(error)
        if refusal:
            operation.active, operation.outcome = False, refusal
        return operation

    def _carry_out(self, asked: TagOperation, operation: AppliedOperation, position: int) -> str:
        if asked.kind == "undo":
            return self._undo(asked.target)
        words = self._statistics.vocabulary
        if asked.kind == "alias":
            operation.rows = [words.row(tag, position) for tag in asked.tags]
        else:
            found = [words.find(tag) for tag in asked.tags]
            operation.rows = [row for row in found if row is not None]
        if not asked.tags or len(operation.rows) < len(asked.tags):
            return f"tags {', '.join(asked.tags)}: expected tags that were used before"
        if asked.kind != "forget":
            before = len(words)
            operation.target = words.row(asked.into, position)
            operation.created = len(words) > before
        if asked.kind == "split":
            self._split(asked, operation, position)
        if asked.kind == "forget":
            for row in self._rows_counting_for(operation.rows):
                words.detach(row)
        self.remap()
        return ""

    def _rows_counting_for(self, rows: list[int]) -> list[int]:
        wanted = {self._statistics.effective(row) for row in rows} - {NOTHING}
        return [row for row in range(len(self._statistics.vocabulary)) if self._statistics.effective(row) in wanted]

    def _split(self, asked: TagOperation, operation: AppliedOperation, position: int) -> None:
        """Images carry a hidden row instead, which counts for `into`; an undo gives them the rows they had."""
        into = operation.target
        between = self._statistics.vocabulary.add(split_row(asked.operation_id), position)
        old = set(self._rows_counting_for(operation.rows))
        operation.rows, operation.target = [between], into
        operation.moved = self._statistics.exchange(asked.images, old, between)

    def _undo(self, target: str) -> str:
        operation = self.by_id.get(target)
        if operation is None or not operation.active or operation.kind == "undo":
            return f"operation {target!r}: expected one that is in force"
        operation.active, operation.outcome = False, "undone"
        if operation.kind == "split":
            self._statistics.exchange_back(operation.moved, operation.rows[0])
        if operation.kind == "forget":
            for row in operation.rows:
                self._remember(row)
        self.remap()
        return ""

    def _remember(self, row: int) -> None:
        """Give a forgotten name back; if it was used anew meanwhile, both rows are one tag from now on."""
        words = self._statistics.vocabulary
        anew = words.attach(row)
        if anew is not None:
            name = f"\0remember {row} {anew}"
            self.by_id[name] = AppliedOperation(name, "merge", (), words.names[row], [anew], row)

    def remap(self) -> None:
        """Make the mapping anew and move every image that it changes."""
        rows = list(range(len(self._statistics.vocabulary)))
        for operation in self.by_id.values():
            if operation.kind == "split" and operation.outcome == "undone":
                # An image carries it only if a later split took it from there and was undone later still.
                had = [row for of_image in operation.moved.values() for row in of_image]
                rows[operation.rows[0]] = rows[min(had)] if had else NOTHING
            if operation.active and operation.kind not in ("imply", "undo"):
                sources = {rows[row] for row in operation.rows} - {NOTHING}
                target = NOTHING if operation.kind == "forget" else rows[operation.target]
                rows = [target if row in sources else row for row in rows]
        self._statistics.remap(rows)

    def implied(self) -> tuple[tuple[int, int], ...]:
        """Pairs of rows (tag, what it implies), in an order in which one pass carries chains through."""
        pairs = {
            (self._statistics.effective(row), self._statistics.effective(operation.target))
            for operation in self.by_id.values()
            if operation.active and operation.kind == "imply"
            for row in operation.rows
        }
        return _in_order({(tag, into) for tag, into in pairs if tag != into and NOTHING not in (tag, into)})

    def rows(self) -> tuple[OperationRow, ...]:
        """What came of every operation, in log order."""
        listed = [one for one in self.by_id.values() if not one.operation_id.startswith("\0")]  # not undo's own
        return tuple(
            OperationRow(one.operation_id, one.kind, one.tags, one.into, one.outcome, one.active, _frozen(one.moved))
            for one in listed
        )

    def dump(self) -> list[dict[str, Any]]:
        """The operations as JSON facts."""
        return [asdict(operation) for operation in self.by_id.values()]

    def load(self, facts: list[dict[str, Any]]) -> None:
        """Put back what `dump` gave."""
        for fact in facts:
            operation = AppliedOperation(**{**fact, "tags": tuple(fact["tags"])})
            self.by_id[operation.operation_id] = operation


def _frozen(moved: dict[str, list[int]]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((image_id, tuple(rows)) for image_id, rows in moved.items())


def _in_order(pairs: set[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The transitive closure, sorted: a tag then passes its probability on to all that it implies, however far."""
    closed = set(pairs)
    while True:
        further = {(a, d) for a, b in closed for c, d in pairs if b == c and a != d} - closed
        if not further:
            return tuple(sorted(closed))
        closed |= further
