"""Tags beside a picture, in its folder's names, and inside it.

In: a picture. Out: `Said`. Raises ValueError with a sentence for a file beside it that cannot be read.
"""

import errno
from collections.abc import Iterable
from pathlib import Path

from admin.console import shown
from admin.people.files.labels import Said
from admin.people.files.walk import Picture
from admin.people.files.xmp import of_picture, of_xmp

MAX_BYTES = 4_000_000
PICTURE_BYTES = 20_000_000  # of a picture that are looked through; larger ones are not posted by default
NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
SOURCES = ("sidecars", "folders", "keywords")  # what --tags-from takes beside files


def names_of(path: Path) -> tuple[Path, Path, Path, Path]:
    """The files beside a picture that may speak of it: cat.txt, cat.jpg.txt, cat.xmp, cat.jpg.xmp."""
    return (
        path.with_suffix(".txt"), path.with_name(f"{path.name}.txt"),
        path.with_suffix(".xmp"), path.with_name(f"{path.name}.xmp"),
    )  # fmt: skip


def beside(path: Path) -> Said:
    """What the files beside a picture say; of two that say a title, the one with the longer name.

    Raises:
        ValueError: one of them cannot be read.
    """
    short, full, *packets = names_of(path)
    said = Said()
    for file, read in ((short, _words), (full, _lines), *((packet, of_xmp) for packet in packets)):
        try:
            content = _content(file)
            said = said.then(read(content)) if content else said
        except ValueError as error:
            raise ValueError(f"{shown(file)}: {error}; correct it or take it away") from None
    return said


def inside(path: Path) -> Said:
    """What a picture's own bytes say."""
    with path.open("rb") as file:
        return of_picture(file.read(PICTURE_BYTES))


def folders(picture: Picture) -> Said:
    """The names of the folders below the given one that a picture lies in, or of that one, if it lies there itself."""
    parts = Path(picture.inside).parts[:-1]
    return Said(tags=parts or ((picture.folder,) if picture.folder else ()))


def sidecars_of(paths: Iterable[Path]) -> set[Path]:
    """The files that may speak of these pictures."""
    return {name for path in paths for name in names_of(path)}


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        if error.errno in NO_FILE:
            return b""
        raise ValueError(f"cannot be read ({error.strerror})") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes, expected a few words")
    return content


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"expected UTF-8 ({error.reason} at byte {error.start})") from None


def _lines(content: bytes) -> Said:
    """cat.jpg.txt: a tag a line."""
    return Said(tags=_clean(_text(content).splitlines()))


def _words(content: bytes) -> Said:
    """cat.txt, as programs for boorus write it: commas between tags, or a tag a line, or spaces between red_panda."""
    text = _text(content)
    if "," in text:
        return Said(tags=_clean(text.replace("\n", ",").split(",")))
    lines = _clean(text.splitlines())
    return Said(tags=lines if len(lines) > 1 else _clean(text.split()))


def _clean(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
