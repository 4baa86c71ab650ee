"""The id of each picture, and that no two get the same.

In: pictures, and from what their ids are to be made. Out: ids as the log takes them: in Unicode's composed form (NFC),
with bytes and characters that no id may have as %XX. Raises UsageError where two files would get one id.
"""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from admin.console import shown
from admin.people.files.walk import Picture
from models.errors import UsageError

IdFrom: TypeAlias = Literal["path", "name", "hash"]
NAMED = 3  # clashes that are named; all are counted


def written(text: str) -> str:
    """A name as an id: NFC; bytes that are no UTF-8, and control characters, as %XX."""
    if text.isascii() and text.isprintable():
        return text
    plain = "".join(_escaped(character) for character in text)
    return unicodedata.normalize("NFC", plain)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no UTF-8, as Python reads it
        return f"%{code - 0xDC00:02X}"
    return f"%{code:02X}" if code < 0x20 or code == 0x7F else character


def id_of(picture: Picture, how: IdFrom = "path", root: Path | None = None) -> str:
    """The id of a picture; empty where it is the hash of bytes that nobody has read yet.

    Its path is taken from `root` on; without one, from the name of the folder that was given on.

    Raises:
        UsageError: it does not lie below `root`.
    """
    if how == "hash":
        return ""
    if how == "name":
        return written(picture.path.name)
    if root is None:
        return written(f"{picture.folder}/{picture.inside}".lstrip("/") if picture.folder else picture.inside)
    inside = os.path.relpath(picture.path.absolute(), root.absolute())
    if inside == os.curdir or Path(inside).parts[0] == os.pardir:
        raise UsageError(f"{shown(picture.path)}: not below --root {shown(root)}; name a folder that holds all of them")
    return written(inside)


def check_different(named: Iterable[tuple[Path, str]]) -> None:
    """See the module; an empty id is none yet.

    Raises:
        UsageError: two files have one id.
    """
    first: dict[str, Path] = {}
    clashes: list[str] = []
    for path, image_id in named:
        other = first.setdefault(image_id, path)
        if image_id and other is not path:
            clashes.append(f"{shown(other)} and {shown(path)} would both be {image_id!r}")
    if clashes:
        more = f", and {len(clashes) - NAMED} more" if len(clashes) > NAMED else ""
        raise UsageError(
            f"{'; '.join(clashes[:NAMED])}{more}: expected an id for each file; give --root FOLDER that all lie below, "
            "or --id-from hash. Nothing was posted"
        )
