"""Which files are pictures: everything that paths, folders and globs name, each file once.

In: what a person typed. Out: pictures with the place they were found at, and every other file with the reason why it is
none. A folder or file that cannot be read is one of those; a path that names nothing raises UsageError.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.errors import UsageError

HEAD_BYTES = 64  # enough to know every format by
SUFFIXES = {
    ".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif", ".heic",
    ".heif", ".jxl",
}  # fmt: skip
_MAGIC = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\xff\x0a",
    b"\0\0\0\x0cJXL \r\n\x87\n",
)  # fmt: skip
_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
_MAC_NOTES = b"\0\5\x16\7"  # of `._cat.jpg`, beside cat.jpg on disks of other systems
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes, of every kind of BMP; two letters alone would say too little


@dataclass(frozen=True)
class Picture:
    """A file that is a picture.

    Attributes:
        path: as it was reached.
        inside: its path inside the folder it was found in, or as a single file was named.
        folder: name of that folder; empty for a single file.
    """

    path: Path
    inside: str
    folder: str = ""


@dataclass(frozen=True)
class Passed:
    """A file that is not posted, and why; `failed` where somebody may have meant it to be."""

    path: Path
    reason: str
    failed: bool = False


def is_picture(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a format that may be read."""
    if head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return True
    if head[:2] == b"BM":
        return int.from_bytes(head[14:18], "little") in _BMP_HEADERS
    return head[4:8] == b"ftyp" and any(head[at : at + 4] in _BRANDS for at in (8, *range(16, HEAD_BYTES, 4)))


class Walk:
    """Collects files; each is taken once, however often it is named or linked to.

    Attributes:
        pictures: in the order of the paths given, those of a folder sorted.
        passed: the other files.
    """

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self.passed: list[Passed] = []
        self._folders: set[tuple[int, int]] = set()
        self._files: dict[str, Path] = {}

    def take(self, texts: list[str]) -> None:
        """Look at everything these paths, folders and globs name.

        Raises:
            UsageError: one names nothing.
        """
        found = [named for text in texts for named in _named(text)]
        taken = [one for path in found for one in (self._inside(path) if path.is_dir() else [_single(path)])]
        order = {one.path: number for number, one in enumerate(taken)}
        for one in sorted(taken, key=lambda one: one.path.is_symlink()):  # what a link leads to may be there itself
            self._look(one)
        self.pictures.sort(key=lambda one: order.get(one.path, -1))

    def _inside(self, root: Path) -> list[Picture]:
        """All files below a folder; folders that links lead to come last, and each folder is entered once."""
        name, found, folders = root.resolve().name, list[Picture](), [root]
        links: list[Path] = []
        while folders or links:
            folder = folders.pop() if folders else links.pop(0)
            for path, kind in self._entries(folder):
                if kind == "file":
                    found.append(Picture(path, os.path.relpath(path, root), name))
                else:
                    (links if kind == "link" else folders).append(path)
        return sorted(found, key=lambda one: one.path)

    def _entries(self, folder: Path) -> Iterator[tuple[Path, str]]:
        try:
            about = folder.stat()
            if (about.st_dev, about.st_ino) in self._folders:
                self.passed.append(Passed(folder, "a folder that is taken already under another name"))
                return
            self._folders.add((about.st_dev, about.st_ino))
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    yield Path(entry.path), _kind(entry)
        except OSError as error:
            self.passed.append(Passed(folder, f"a folder that cannot be read ({error.strerror})", failed=True))

    def _look(self, one: Picture) -> None:
        try:
            real = os.path.realpath(one.path)
            if not stat.S_ISREG(one.path.stat().st_mode):  # to open a pipe would wait for its other end
                self.passed.append(Passed(one.path, "no regular file"))
            elif real in self._files:
                self.passed.append(Passed(one.path, f"the same file as {self._files[real]}"))
            else:
                self._files[real] = one.path
                with one.path.open("rb") as file:
                    self._judge(one, file.read(HEAD_BYTES))
        except FileNotFoundError:
            self.passed.append(Passed(one.path, "a link to nothing" if one.path.is_symlink() else "gone"))
        except OSError as error:
            self.passed.append(Passed(one.path, f"cannot be read ({error.strerror})", failed=True))

    def _judge(self, one: Picture, head: bytes) -> None:
        suffix = one.path.suffix.lower()
        if is_picture(head):
            self.pictures.append(one)
        elif head.startswith(_MAC_NOTES):
            self.passed.append(Passed(one.path, "a Mac's notes about another file"))
        elif suffix in SUFFIXES:
            found = "empty" if not head else "no bytes of any picture format"
            self.passed.append(Passed(one.path, f"{found}; save it as JPEG or PNG", failed=True))
        elif suffix in (".svg", ".svgz"):
            self.passed.append(Passed(one.path, "SVG is a drawing, no picture; export it as PNG", failed=True))
        else:
            self.passed.append(Passed(one.path, "no picture"))


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        return "file" if not entry.is_dir() else "link" if entry.is_symlink() else "folder"
    except OSError:
        return "file"  # a link to itself, say: a look at it says so


def _single(path: Path) -> Picture:
    return Picture(path, path.name if path.is_absolute() or ".." in path.parts else path.as_posix())


def _named(text: str) -> list[Path]:
    path = Path(text)
    try:
        if text and (path.exists() or path.is_symlink()):
            return [path]
        anchor = Path(path.anchor) if path.anchor else Path()
        found = sorted(anchor.glob(str(path.relative_to(anchor)))) if text else []
    except (OSError, ValueError, NotImplementedError) as error:
        raise UsageError(f"{text[:300]}: no path ({error}); check it") from None
    if not found:
        raise UsageError(f"{text}: no such file, folder or glob; check the path")
    return found
