"""What the tag learner learns from: examples of tagged images, and operations on the tags themselves.

Both travel on one totally ordered log; the learner's state is a function of that log.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from models.tagging.arrays import Int16


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Tags were put on or taken off one image.

    Attributes:
        image_id: the image.
        vector: its quantised embedding [D], or None when the learner knows it already. One that differs from the known
            one replaces it: the image was posted anew.
        added: tags put on the image, as people wrote them.
        removed: tags taken off.
        complete: True says that the tag list is exhaustive, so the image counts as labelled even without tags; False
            withdraws that; None says nothing.
        deleted: the image is gone, with everything learned from it; the other fields are not read.
        time_ms: when it happened, ms since 1970 by the log; 0 if that is not known.
        said: for each tag added who said it, as (`by` or nothing, source of the event); empty where that is not known.
        revoked: tags that nobody says any more, by the very name they were put on with; others that mean the same stay.
    """

    image_id: str
    vector: Int16 | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    complete: bool | None = None
    deleted: bool = False
    time_ms: int = 0
    said: tuple[tuple[str, str], ...] = ()
    revoked: tuple[str, ...] = ()


OperationKind = Literal["merge", "split", "rename", "alias", "forget", "imply", "undo", "revoke"]


@dataclass(frozen=True, slots=True)
class TagOperation:
    """An operation on tags, applied in log order like any example.

    Attributes:
        operation_id: its name on the log; `undo` names the operation it takes back.
        kind: merge (`tags` become `into`), split (of `images`, those with `tags[0]` carry `into` instead), rename
            (`tags[0]` is called `into` from now on), alias (`tags` are other spellings of `into`), forget (`tags` are
            taken off every image), imply (`tags[0]` implies `into`), undo (takes back `target`), revoke (a note: the
            images themselves were told that what `said_by` said is taken back).
        tags: the tags operated on.
        into: the tag that results.
        images: the images a split moves.
        target: the `operation_id` an undo takes back.
        by: who asked for it.
        time_ms: when, ms since 1970 by the log; 0 if that is not known.
        said_by: whose tags a revoke takes back.
        since: only those said from then on, RFC 3339; empty for all.
    """

    operation_id: str
    kind: OperationKind
    tags: tuple[str, ...] = ()
    into: str = ""
    images: tuple[str, ...] = ()
    target: str = ""
    by: str = ""
    time_ms: int = 0
    said_by: str = ""
    since: str = ""


class OperationRow(NamedTuple):
    """What came of an operation, as snapshots carry it.

    Attributes:
        operation_id: its name on the log.
        kind: of operation.
        tags: the tags operated on, as written.
        into: the tag that results, as written.
        outcome: "done", "undone" or why it was refused.
        active: whether it is in force.
        moved: for a split the images moved, with the rows they had.
        by: who asked for it.
        time_ms: when, ms since 1970 by the log; 0 if that is not known.
        said_by: whose tags a revoke takes back.
        since: only those said from then on; empty for all.
    """

    operation_id: str
    kind: str
    tags: tuple[str, ...]
    into: str
    outcome: str
    active: bool
    moved: tuple[tuple[str, tuple[int, ...]], ...] = ()
    by: str = ""
    time_ms: int = 0
    said_by: str = ""
    since: str = ""
