"""What is to be posted: each picture with its id and all that people say of it, before anything is sent.

In: what a person typed. Out: `Plan`. Raises UsageError for what has to be decided first: ids that clash, lines that fit
nothing, tags with commas.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from admin.people.files import sidecars
from admin.people.files.fitting import check_used, fit
from admin.people.files.labels import Line, Said, read_labels
from admin.people.files.walk import Passed, Picture, Walk
from admin.people.importing.commas import split, to_be_split
from admin.people.importing.ids import IdFrom, check_different, id_of, written
from models.errors import PolicyError, UsageError
from models.tagging.memory.names import normalise_tag


@dataclass(frozen=True)
class Wanted:
    """What a person asked for; see the options of `mekiki post`."""

    paths: Sequence[str]
    tags: tuple[str, ...] = ()
    tags_from: Sequence[str] = ()
    image_id: str | None = None
    id_from: IdFrom = "path"
    root: Path | None = None
    strict: bool = False
    split_commas: bool | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for tag in self.tags:
            try:
                normalise_tag(tag)
            except PolicyError as error:
                raise UsageError(str(error)) from None

    @property
    def label_files(self) -> list[Path]:
        """Files among the sources of tags."""
        return [Path(source) for source in self.tags_from if source not in sidecars.SOURCES]


@dataclass(frozen=True)
class Planned:
    """A picture to be posted, and what it goes without; its id is empty where it is to be the hash of its bytes."""

    path: Path
    image_id: str
    said: Said
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All pictures, the files that are not posted, and sentences for people."""

    pictures: list[Planned]
    passed: list[Passed]
    notes: list[str]


def make_plan(wanted: Wanted, *, watching: bool = False) -> Plan:
    """See the module. Where a folder is `watched`, files may come later: lines of theirs fit nothing yet."""
    labels = [(file, read_labels(file)) for file in wanted.label_files]
    walk = Walk()
    walk.take(list(wanted.paths))
    named = [(picture, id_of(picture, wanted.id_from, wanted.root)) for picture in walk.pictures]
    said, notes = _from_files(labels, named, strict=wanted.strict, watching=watching)
    planned, unreadable = [], []
    for picture, image_id in named:
        try:
            about = _said_of(picture, wanted).then(said.get(picture.path, Said()))
        except (ValueError, OSError) as error:
            unreadable.append(Passed(picture.path, str(error), failed=True))
            continue
        chosen = wanted.image_id or about.image_id
        planned.append(Planned(picture.path, written(chosen) if chosen else image_id, about))
    if wanted.image_id is not None and len(named) != 1 and not watching:
        raise UsageError(f"--id {wanted.image_id}: expected one picture, found {len(named)}; leave it out")
    check_different((one.path, one.image_id) for one in planned)
    passed = _with_sidecars(walk, wanted) + unreadable
    return Plan(_with_good_tags(planned, wanted.split_commas), passed, notes)


def _from_files(
    labels: list[tuple[Path, list[Line]]], named: list[tuple[Picture, str]], *, strict: bool, watching: bool
) -> tuple[dict[Path, Said], list[str]]:
    said: dict[Path, Said] = {}
    notes = []
    for file, lines in labels:
        fitted = fit(lines, file, named)
        if not watching:
            notes.append(check_used(fitted, file, len(lines), strict=strict))
        for path, about in fitted.said.items():
            said[path] = said.get(path, Said()).then(about)
    return said, [note for note in notes if note]


def _said_of(picture: Picture, wanted: Wanted) -> Said:
    said = Said(tags=wanted.tags, details=wanted.details)
    if "folders" in wanted.tags_from:
        said = said.then(sidecars.folders(picture))
    if "keywords" in wanted.tags_from:
        said = said.then(sidecars.inside(picture.path))
    return said.then(sidecars.beside(picture.path)) if "sidecars" in wanted.tags_from else said


def _with_good_tags(planned: list[Planned], split_commas: bool | None) -> list[Planned]:
    splits = to_be_split((tag for one in planned for tag in one.said.tags), split_commas)
    return [_checked(one, split(one.said.tags) if splits else one.said.tags) for one in planned]


def _checked(one: Planned, tags: tuple[str, ...]) -> Planned:
    good, notes = [], []
    for tag in tags:
        try:
            normalise_tag(tag)
            good.append(tag)
        except PolicyError as error:
            notes.append(f"without {error}")
    return replace(one, said=replace(one.said, tags=tuple(good)), notes=tuple(notes))


def _with_sidecars(walk: Walk, wanted: Wanted) -> list[Passed]:
    """Files beside pictures are no strangers: they were read, or could be."""
    beside = sidecars.sidecars_of(picture.path for picture in walk.pictures)
    reads = "sidecars" in wanted.tags_from
    reason = "read for its picture's tags" if reads else "may hold its picture's tags; --tags-from sidecars reads them"
    return [replace(one, reason=reason) if one.path in beside and not one.failed else one for one in walk.passed]
