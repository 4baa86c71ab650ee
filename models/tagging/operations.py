"""Operations on tags: merge, split, rename, alias, forget, imply, undo.

Images keep the rows as people wrote them; what a row counts for is a mapping, and every operation is an edit of it. An
undo makes the mapping anew from the operations in force, so that it leaves what would be there without the operation,
to the bit: a merged tag has the sums of relearning from the merged log, an undone merge those of before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from models.errors import PolicyError
from models.tagging.applied_operation import AppliedOperation, map_rows, split_row
from models.tagging.examples import Example, OperationRow, TagOperation
from models.tagging.memory.implications import Pair, circle_through, in_one_pass
from models.tagging.memory.mapping import NOTHING, TagMapping
from models.tagging.memory.names import normalise_tag
from models.tagging.memory.sufficient_statistics import SufficientStatistics

UNUSED = -2  # stands for the row of a tag that nobody used yet


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
        self._now: dict[int, set[int]] | None = None  # what each tag implies by itself; None likewise

    def apply(self, asked: TagOperation, position: int) -> AppliedOperation:
        """Carry out one operation. What cannot be done is remembered as refused and changes nothing.

        Repeating an operation that was carried out before changes nothing either.
        """
        known = self.by_id.get(asked.operation_id)
        if known is not None:
            return known
        operation = AppliedOperation(
            asked.operation_id, asked.kind, asked.tags, asked.into,
            by=asked.by, time_ms=asked.time_ms, said_by=asked.said_by, since=asked.since,
        )  # fmt: skip
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
        if asked.kind == "revoke":
            return ""  # its images were told themselves
        words = self._statistics.vocabulary
        operation.rows = [row for row in map(words.find, asked.tags) if row is not None]
        if not asked.tags or (len(operation.rows) < len(asked.tags) and asked.kind != "alias"):
            return f"tags {', '.join(asked.tags)}: expected tags that were used before"
        if refusal := self._closes_circle(asked, operation.rows):
            return refusal
        if asked.kind == "alias":
            operation.rows = [words.row(tag, position) for tag in asked.tags]
        if asked.kind == "forget":
            for row in sorted(self._statistics.mapping.members(operation.rows)):
                words.detach(row)
        else:
            operation.created = words.find(asked.into) is None
            operation.target = words.row(asked.into, position)
        if asked.kind == "split":
            self._move_images(asked, operation, position)
        mapping = TagMapping(self._statistics.mapping)
        map_rows(mapping, operation)
        self._statistics.remap(mapping)
        return ""

    def _move_images(self, asked: TagOperation, operation: AppliedOperation, position: int) -> None:
        """Let images of a split carry a hidden row, which nobody can write; it is to count for the result."""
        hidden = self._statistics.vocabulary.add(split_row(asked.operation_id), position)
        old = self._statistics.mapping.members(operation.rows)
        operation.rows = [hidden]
        operation.moved = self._statistics.replace_rows(asked.images, old, hidden)

    def behind_splits(self, example: Example) -> Example:
        """The example with the hidden rows of splits that its image no longer carries once what it takes back is gone.

        A split that is undone later gives back none of it.
        """
        names, gone = self._statistics.vocabulary.names, list(example.revoked)
        for operation in self.by_id.values():
            had = operation.moved.get(example.image_id) if operation.active else None
            left = [row for row in had or () if names[row] not in gone]
            if had is None or left == had:
                continue
            operation.moved[example.image_id] = left
            if not left:
                del operation.moved[example.image_id]
                gone.append(split_row(operation.operation_id))
            self._note(operation)
        return replace(example, revoked=tuple(gone))

    def _undo(self, target: str) -> str:
        operation = self.by_id.get(target)
        if operation is None or not operation.active or operation.kind == "undo":
            return f"operation {target!r}: expected one that is in force"
        if operation.kind == "forget" and (refusal := self._circle_remembered(operation)):
            return refusal
        operation.active, operation.outcome = False, "undone"
        self._note(operation)
        if operation.kind == "split":
            self._statistics.give_rows_back(operation.moved, operation.rows[0])
        if operation.kind == "forget":
            for row in sorted(self.mapping().members(operation.rows)):
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

    def mapping(self, without: AppliedOperation | None = None) -> TagMapping:
        """What the operations in force make rows count for, made from nothing; one of them may be left out."""
        mapping = TagMapping()
        for operation in self.by_id.values():
            if operation is not without:
                map_rows(mapping, operation)
        return mapping

    def _closes_circle(self, asked: TagOperation, rows: list[int]) -> str:
        """Why an operation on these rows cannot be done: what tags imply would lead back to one of them; else empty."""
        if asked.kind not in ("imply", "merge", "rename", "alias"):
            return ""
        found = self._statistics.vocabulary.find(asked.into)
        mapping = self._statistics.mapping
        if asked.kind == "imply":
            tag, into = mapping.of(rows[0]), UNUSED if found is None else mapping.of(found)
            direct = self._direct()
            return self._circle([tag], {**direct, tag: {*direct.get(tag, ()), into}}, asked.into)
        mapping = TagMapping(mapping)
        target = UNUSED if found is None else mapping.of(found)
        mapping.move(rows, target)
        return self._circle([target], self._direct_under(mapping), asked.into)

    def _circle_remembered(self, forget: AppliedOperation) -> str:
        """Why a forgotten tag cannot come back: it was used anew meanwhile, and with what it implied is a circle."""
        words, mapping = self._statistics.vocabulary, self.mapping(without=forget)
        for row in sorted(mapping.members(forget.rows)):
            anew = words.find(words.names[row])
            mapping.move([] if anew is None else [anew], mapping.of(row))
        return self._circle([mapping.of(row) for row in forget.rows], self._direct_under(mapping), "")

    def _circle(self, starts: Sequence[int], direct: Mapping[int, set[int]], unused: str) -> str:
        way = next(filter(None, (circle_through(start, direct) for start in starts)), None)
        if way is None:
            return ""
        names = self._statistics.vocabulary.names
        shown = " -> ".join(normalise_tag(unused) if row == UNUSED else names[row] for row in way)
        return f"implications {shown}: expected no circle; undo one of them first"

    def _direct(self) -> dict[int, set[int]]:
        if self._now is None:
            self._now = self._direct_under(self._statistics.mapping)
        return self._now

    def _direct_under(self, mapping: TagMapping) -> dict[int, set[int]]:
        """What each tag implies by itself, with what a mapping makes rows count for."""
        direct: dict[int, set[int]] = {}
        for operation in self.by_id.values():
            if operation.active and operation.kind == "imply":
                _imply(direct, operation, mapping)
        return direct

    def _note(self, operation: AppliedOperation) -> None:
        """Remember that an operation is new, or was undone."""
        self._implied = None
        if operation.kind == "imply" and operation.active and self._now is not None:
            _imply(self._now, operation, self._statistics.mapping)
        else:
            self._now = None
        self._changed.add(operation.operation_id)
        self._list(operation)

    def _list(self, operation: AppliedOperation) -> None:
        if not operation.hidden:
            moved = tuple((image_id, tuple(rows)) for image_id, rows in operation.moved.items())
            self._listed[operation.operation_id] = OperationRow(
                operation.operation_id, operation.kind, operation.tags, operation.into,
                operation.outcome, operation.active, moved,
                operation.by, operation.time_ms, operation.said_by, operation.since,
            )  # fmt: skip

    def implied(self) -> tuple[Pair, ...]:
        """Pairs of rows (tag, what it implies), in an order in which one pass carries chains through."""
        if self._implied is None:
            self._implied = in_one_pass({(tag, into) for tag, of_tag in self._direct().items() for into in of_tag})
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


def _imply(direct: dict[int, set[int]], operation: AppliedOperation, mapping: TagMapping) -> None:
    """Add one implication, unless a tag of it is forgotten or both are one by now."""
    tag, into = mapping.of(operation.rows[0]), mapping.of(operation.target)
    if tag != into and NOTHING not in (tag, into):
        direct.setdefault(tag, set()).add(into)
