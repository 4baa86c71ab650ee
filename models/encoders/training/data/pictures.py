"""Where training pictures come from, and the plan of a run: which of them, and which are held out.

In: a source of pictures. Out: a `Plan`, kept in the run's folder beside rows of what is learned from: a run that was
stopped goes on with the same ones. Raises UsageError (too few pictures), CheckpointError (a folder of another run).
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from models.encoders.base import Images
from models.encoders.training.data.files import disk_errors, write_whole
from models.encoders.training.data.rows import RowFile
from models.encoders.training.data.split import HELD_OUT, held_out
from models.errors import CheckpointError, UsageError

PLAN = "plan.json"
LEAST_PICTURES = 20  # fewer say nothing, not even whether it learned
READ_AT_ONCE = 64  # pictures decoded before they are written: 10 MB at 224 pixels

Report = Callable[[str, int, int], None]  # what is being done, how far, of how many


class Pictures(Protocol):
    """A source of pictures."""

    @property
    def ids(self) -> Sequence[str]:
        """All of them."""

    @property
    def looks(self) -> Mapping[str, bytes]:
        """Of each its look (models.look), as far as there is one."""

    @property
    def position(self) -> str:
        """How far the log was read; for provenance."""

    def load(self, ids: Sequence[str]) -> list[Images | None]:
        """uint8 [224, 224, 3] RGB of each; None where the bytes are gone or are no picture any more."""


@dataclass(frozen=True)
class Sample:
    """What a run asks of a source.

    Attributes:
        run: fingerprint of everything it was asked for.
        seed: of the hash that holds pictures out.
        share: of the pictures that are held out.
    """

    run: str
    seed: int = 0
    share: float = HELD_OUT


@dataclass(frozen=True)
class Plan:
    """What a run learns from.

    Attributes:
        run: fingerprint of what was asked for.
        ids: of the pictures, in the order of their rows.
        held_out: rows that nothing is learned from.
        position: see Pictures.
        labels: what is known of them, as `Recording.label` gave it.
    """

    run: str
    ids: tuple[str, ...]
    held_out: tuple[int, ...]
    position: str
    labels: dict[str, Any] = field(default_factory=dict)

    @property
    def training(self) -> tuple[int, ...]:
        """Rows that are learned from."""
        apart = set(self.held_out)
        return tuple(row for row in range(len(self.ids)) if row not in apart)


@dataclass(frozen=True)
class Part:
    """Rows of one kind: their file's name, shape and type."""

    name: str
    shape: tuple[int, ...]
    dtype: DTypeLike


@dataclass(frozen=True)
class Recording:
    """What is kept of each picture.

    Attributes:
        parts: kinds of rows.
        compute: pictures uint8 [n, 224, 224, 3] -> an array [n, ...] for each part.
        label: what is known of the pictures of a plan, as plain JSON: it must not change while a run is stopped.
    """

    parts: tuple[Part, ...]
    compute: Callable[[Images], Sequence[NDArray[Any]]]
    label: Callable[[Plan], dict[str, Any]] | None = None


def fingerprint(**asked: Any) -> str:
    """16 hex digits over what a run was asked for; plain values only."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def keep_rows(
    source: Pictures, folder: Path, sample: Sample, recording: Recording, report: Report
) -> tuple[Plan, list[RowFile]]:
    """What is recorded of all pictures, and the plan; those of a run that was stopped, if there is one in `folder`.

    Raises:
        UsageError: too few pictures can be read, or what `label` raises.
        CheckpointError: the folder is of another run.
        StorageUnavailableError: no room.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    plan = read_plan(folder, sample.run)
    rows = [RowFile(folder / f"{part.name}.rows", part.shape, part.dtype) for part in recording.parts]
    if plan is not None and all(len(part) >= len(plan.ids) for part in rows):
        return plan, rows
    check_count(len(source.ids))
    for part in rows:
        part.clear()
    kept = _record(source, rows, recording, report)
    check_count(len(kept))
    apart = tuple(held_out(kept, source.looks, seed=sample.seed, share=sample.share))
    plan = Plan(sample.run, tuple(kept), apart, source.position)
    if recording.label is not None:
        plan = replace(plan, labels=recording.label(plan))
    write_whole(folder / PLAN, json.dumps(asdict(plan)).encode())
    return plan, rows


def _record(source: Pictures, rows: Sequence[RowFile], recording: Recording, report: Report) -> list[str]:
    """Write what is recorded of every picture that can be read; their ids."""
    kept: list[str] = []
    for start in range(0, len(source.ids), READ_AT_ONCE):
        ids = source.ids[start : start + READ_AT_ONCE]
        pairs = [(name, image) for name, image in zip(ids, source.load(ids), strict=True) if image is not None]
        if pairs:
            for part, values in zip(rows, recording.compute(np.stack([image for _, image in pairs])), strict=True):
                part.append(values)
        kept += [name for name, _ in pairs]
        report("reading pictures", start + len(ids), len(source.ids))
    return kept


def read_plan(folder: Path, run: str) -> Plan | None:
    """The plan of a run that was stopped; None where there is none.

    Raises:
        CheckpointError: it is of another run, or damaged.
    """
    path = folder / PLAN
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
        plan = Plan(found["run"], tuple(found["ids"]), tuple(found["held_out"]), found["position"], found["labels"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"training folder {folder}: expected a plan of ours; choose another folder") from error
    if plan.run != run:
        raise CheckpointError(
            f"training folder {folder}: expected the run that was begun there, with its options; repeat these, "
            "choose another folder or remove this one"
        )
    return plan


def check_count(count: int) -> None:
    """Refuse to learn from too few.

    Raises:
        UsageError: see the module.
    """
    if count < LEAST_PICTURES:
        raise UsageError(
            f"pictures {count}: expected {LEAST_PICTURES} or more that can be read; post some, then train again"
        )
