"""Operations on tags: merge, split, rename, alias, forget, imply, undo.

Images keep the rows as people wrote them; what a row counts for is a mapping, and every operation is an edit of it. An
undo makes the mapping anew from the operations in force, so that it leaves what would be there without the operation,
to the bit: a merged tag has the sums of relearning from the merged log, an undone merge those of before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from models.errors import PolicyError
from models.tagging.examples import OperationRow, TagOperation
from models.tagging.memory.implications import Pair, in_one_pass
from models.tagging.memory.mapping import NOTHING, TagMapping
from models.tagging.memory.sufficient_statistics import SufficientStatistics


@dataclass(slots=True)
class AppliedOperation:
    """An operation as carried out.

    Attributes:
        operation_id: its name on the log.
        kind: of operation.
        tags: the tags operated on, as written.
        into: the tag that results, as written.
        rows: rows of the tags when it was carried out; for a split the hidden row that its images carry instead.
        target: row of the result.
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

    @property
    def hidden(self) -> bool:
        """Whether an undo needed it beside; nobody posted it."""
        return self.operation_id.startswith("\0")


def split_row(operation_id: str) -> str:
    """The name of the row that images moved by a split carry; nobody can write it."""
    return f"\0split {operation_id}"


class TagOperations:
    """Carries operations out on the sufficient statistics, and remembers them.

    Attributes:
        by_id: the operations, in log order.
    """

    def __init__(self, statistics: SufficientStatistics) -> None:
        self._statistics = statistics
        self.by_id: dict[str, AppliedOperation] = {}
        self._changed: set[str] = set()
        self._listed: dict[str, OperationRow] = {}
        self._implied: tuple[Pair, ...] | None = None  # None: to be made anew

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
        self._note(operation)
        return operation

    def _carry_out(self, asked: TagOperation, operation: AppliedOperation, position: int) -> str:
        """Why it cannot be done; empty when it was."""
        if asked.kind == "undo":
            return self._undo(asked.target)
        words = self._statistics.vocabulary
        if asked.kind == "alias":
            operation.rows = [words.row(tag, position) for tag in asked.tags]
        else:
            operation.rows = [row for row in map(words.find, asked.tags) if row is not None]
        if not asked.tags or len(operation.rows) < len(asked.tags):
            return f"tags {', '.join(asked.tags)}: expected tags that were used before"
        if asked.kind == "forget":
            for row in sorted(self._statistics.mapping.members(operation.rows)):
                words.detach(row)
        else:
            operation.created = words.find(asked.into) is None
            operation.target = words.row(asked.into, position)
        if asked.kind == "split":
            self._move_images(asked, operation, position)
        mapping = TagMapping(self._statistics.mapping)
        _map(mapping, operation)
        self._statistics.remap(mapping)
        return ""

    def _move_images(self, asked: TagOperation, operation: AppliedOperation, position: int) -> None:
        """Let images of a split carry a hidden row, which nobody can write; it is to count for the result."""
        hidden = self._statistics.vocabulary.add(split_row(asked.operation_id), position)
        old = self._statistics.mapping.members(operation.rows)
        operation.rows = [hidden]
        operation.moved = self._statistics.replace_rows(asked.images, old, hidden)

    def _undo(self, target: str) -> str:
        operation = self.by_id.get(target)
        if operation is None or not operation.active or operation.kind == "undo":
            return f"operation {target!r}: expected one that is in force"
        operation.active, operation.outcome = False, "undone"
        self._note(operation)
        if operation.kind == "split":
            self._statistics.give_rows_back(operation.moved, operation.rows[0])
        if operation.kind == "forget":
            for row in operation.rows:
                self._remember(row)
        self._statistics.remap(self.mapping())
        return ""

    def _remember(self, row: int) -> None:
        """Give a forgotten name back; if it was used anew meanwhile, both rows are one tag from now on."""
        words = self._statistics.vocabulary
        anew = words.attach(row)
        name = f"\0remember {row} {anew}"
        if anew is not None and name not in self.by_id:
            self.by_id[name] = AppliedOperation(name, "merge", (), words.names[row], [anew], row)
            self._note(self.by_id[name])

    def mapping(self) -> TagMapping:
        """What the operations in force make rows count for, made from nothing."""
        mapping = TagMapping()
        for operation in self.by_id.values():
            _map(mapping, operation)
        return mapping

    def _note(self, operation: AppliedOperation) -> None:
        """Remember that an operation is new, or was undone."""
        self._implied = None
        self._changed.add(operation.operation_id)
        self._list(operation)

    def _list(self, operation: AppliedOperation) -> None:
        if not operation.hidden:
            moved = tuple((image_id, tuple(rows)) for image_id, rows in operation.moved.items())
            self._listed[operation.operation_id] = OperationRow(
                operation.operation_id, operation.kind, operation.tags, operation.into,
                operation.outcome, operation.active, moved,
            )  # fmt: skip

    def implied(self) -> tuple[Pair, ...]:
        """Pairs of rows (tag, what it implies), in an order in which one pass carries chains through."""
        if self._implied is None:
            of = self._statistics.mapping.of
            pairs = {
                (of(row), of(operation.target))
                for operation in self.by_id.values()
                if operation.active and operation.kind == "imply"
                for row in operation.rows
            }
            self._implied = in_one_pass({pair for pair in pairs if pair[0] != pair[1] and NOTHING not in pair})
        return self._implied

    def rows(self) -> tuple[OperationRow, ...]:
        """What came of every operation, in log order."""
        return tuple(self._listed.values())

    def named(self) -> set[int]:
        """Rows that operations name."""
        found = {row for one in self.by_id.values() for row in (*one.rows, one.target)}
        return found.union(*(rows for one in self.by_id.values() for rows in one.moved.values()))

    def take_changed(self) -> list[tuple[str, dict[str, Any]]]:
        """(id, JSON facts) of the operations that are new or were undone since the last call, in log order."""
        changed, self._changed = self._changed, set()
        return [(name, asdict(operation)) for name, operation in self.by_id.items() if name in changed]

    def load(self, facts: Iterable[Mapping[str, Any]]) -> None:
        """Put back what `take_changed` gave, in log order."""
        for fact in facts:
            operation = AppliedOperation(**{**fact, "tags": tuple(fact["tags"])})
            self.by_id[operation.operation_id] = operation
            self._list(operation)


def _map(mapping: TagMapping, operation: AppliedOperation) -> None:
    """Let rows count for what one operation, after those before it, makes them count for."""
    if operation.kind == "split" and operation.outcome == "undone":
        # An image carries the hidden row only if a later split took it from there and was undone later still.
        had = [row for rows in operation.moved.values() for row in rows]
        mapping.put(operation.rows[0], mapping.of(min(had)) if had else NOTHING)
    elif operation.active and operation.kind not in ("imply", "undo"):
        mapping.move(operation.rows, NOTHING if operation.kind == "forget" else mapping.of(operation.target))
