"""Which line of a file of tags is about which picture.

In: the lines, and pictures with the ids they would get. Out: what is said of each picture, and the lines that fit none.
Raises UsageError for a line that fits several pictures.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from admin.console import shown
from admin.people.files.labels import Line, Said
from admin.people.files.walk import Picture
from models.errors import UsageError

NAMED = 3


@dataclass(frozen=True)
class Fitted:
    """What a file of tags says of pictures, and its lines that say nothing of any."""

    said: dict[Path, Said]
    unused: list[Line]


def fit(lines: Sequence[Line], file: Path, pictures: Sequence[tuple[Picture, str]]) -> Fitted:
    """Each line with its picture: by its path, in whichever way that is written, its id, or else its name alone.

    Raises:
        UsageError: a line may mean several pictures.
    """
    paths: dict[str, dict[Path, None]] = defaultdict(dict)
    names: dict[str, dict[Path, None]] = defaultdict(dict)
    here = file.parent.absolute()
    for picture, image_id in pictures:
        absolute = picture.path.absolute()
        spellings = {image_id, picture.inside, f"{picture.folder}/{picture.inside}", str(picture.path), str(absolute)}
        if absolute.is_relative_to(here):
            spellings.add(str(absolute.relative_to(here)))
        for spelling in filter(None, spellings):
            paths[_plain(spelling)][picture.path] = None
        names[_plain(picture.path.name)][picture.path] = None
    said: dict[Path, Said] = {}
    unused = []
    for line in lines:
        plain = _plain(line.name)
        found = list(paths.get(plain, ()) or (names.get(plain, ()) if line.file is not None else ()))
        if len(found) > 1:
            which = ", ".join(shown(path) for path in found[:NAMED])
            raise UsageError(
                f"{file} line {line.number}: {shown(line.name)!r} may be {len(found)} pictures ({which}); name the "
                "path inside the folder. Nothing was posted"
            )
        if found:
            about = line.said if line.file is not None else replace(line.said, image_id=None)
            said[found[0]] = said.get(found[0], Said()).then(about)
        else:
            unused.append(line)
    return Fitted(said, unused)


def check_used(fitted: Fitted, file: Path, lines: int, *, strict: bool) -> str:
    """A sentence about lines that fit no picture; empty where all do.

    Raises:
        UsageError: no line fits, or `strict` and not all do.
    """
    unused = fitted.unused
    if not unused:
        return ""
    which = ", ".join(f"line {line.number} {shown(line.name)!r}" for line in (unused if strict else unused[:NAMED]))
    if strict or len(unused) == lines:
        count = (
            "no line fits" if len(unused) == lines else f"{len(unused)} of {lines} lines fit no picture, expected all"
        )
        raise UsageError(
            f"{file}: {count} ({which}); expected the path of a picture inside the folder, its name or its id. "
            "Nothing was posted"
        )
    return f"{file}: {len(unused)} of {lines} lines fit no picture ({which}{', ...' if len(unused) > NAMED else ''})"


def _plain(name: str) -> str:
    """A path in the one spelling that they are compared in."""
    text = unicodedata.normalize("NFC", name).replace("\\", "/")
    return text.removeprefix("./")
