"""An operation on tags as it was carried out, and what it makes rows count for."""

from dataclasses import dataclass, field

from models.tagging.memory.mapping import NOTHING, TagMapping


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
        by: who asked for it, and ...
        time_ms: ... when; both as in TagOperation, and so is what follows.
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
    by: str = ""
    time_ms: int = 0
    said_by: str = ""
    since: str = ""

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


def map_rows(mapping: TagMapping, operation: AppliedOperation) -> None:
    """Let rows count for what one operation, after those before it, makes them count for."""
    if operation.kind == "split" and operation.outcome == "undone":
        # An image carries the hidden row only if a later split took it from there and was undone later still.
        had = [row for rows in operation.moved.values() for row in rows]
        mapping.put(operation.rows[0], mapping.of(min(had)) if had else NOTHING)
    elif operation.active and operation.kind not in ("imply", "undo", "revoke"):
        mapping.move(operation.rows, NOTHING if operation.kind == "forget" else mapping.of(operation.target))
