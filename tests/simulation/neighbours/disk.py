"""The disk of a world: a folder of pictures in which a name lasts from the fsync of its folder on.

The picture stores are the real ones. One of them is SQLite, which syncs what it commits; of the other, which has a
file for each picture, a power cut takes back names that were made or removed since the last fsync of their folder.
"""

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from models.errors import StorageUnavailableError
from stream.pictures.sqlite_store import PictureFile
from stream.pictures.store import PictureFolder, PictureStore
from tests.simulation.chance import Chance
from tests.simulation.neighbours.broker import Process

Names = dict[str, bytes]


class Disk:
    """Where pictures lie, and which of their names would survive a power cut."""

    def __init__(self, root: Path, chance: Chance) -> None:
        self._root, self._chance = root / "pictures", chance
        self._root.mkdir()
        self._in_files = chance.random.random() < 0.5
        self._synced: dict[str, Names] = {}  # by folder
        self._lasting: set[str] = set()  # folders whose own names were synced

    def store(self) -> PictureStore:
        """The pictures, as a process opens them."""
        if self._in_files:
            return PictureFolder(f"file://{self._root}")
        return PictureFile(self._root / "pictures.sqlite")

    def pictures(self) -> dict[str, bytes]:
        """All bytes that are there, by name."""
        if self._in_files:
            files = (path for path in self._root.glob("*/*") if not path.suffix)
            return {path.parent.name + path.name: path.read_bytes() for path in files}
        with closing(sqlite3.connect(self._root / "pictures.sqlite")) as database:
            rows = database.execute("SELECT name, content FROM named_pictures WHERE content IS NOT NULL")
            return {name.hex(): content for name, content in rows}

    def fsync(self, descriptor: int) -> None:
        """In place of os.fsync: of a folder, its names last from now on. The bytes of a file last anyway."""
        asked = os.fstat(descriptor)
        if stat.S_ISDIR(asked.st_mode):
            if asked.st_ino == self._root.stat().st_ino:
                self._lasting = {folder.name for folder in self._folders()}
                return
            folder = next(path for path in self._folders() if path.stat().st_ino == asked.st_ino)
            self._synced[folder.name] = self._names(folder)

    def power_cut(self) -> None:
        """Of each name that was made or removed and not synced, the disk has the one or the other."""
        for folder in self._folders():
            if folder.name not in self._lasting and self._is_lost():
                shutil.rmtree(folder)
                self._synced.pop(folder.name, None)
                continue
            now, before = self._names(folder), self._synced.get(folder.name, {})
            for name in sorted(now.keys() ^ before.keys()):
                if self._is_lost():
                    if name in now:
                        (folder / name).unlink()
                    else:
                        (folder / name).write_bytes(before[name])
            self._synced[folder.name] = self._names(folder)
        self._lasting = {folder.name for folder in self._folders()}

    def _is_lost(self) -> bool:
        lost = self._chance.random.random() < 0.5
        if lost:
            self._chance.count("a name of a file is lost")
        return lost

    def _folders(self) -> list[Path]:
        return sorted(path for path in self._root.iterdir() if path.is_dir())

    def _names(self, folder: Path) -> Names:
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".part"}


class Pictures:
    """See PictureStore: the real one, with a disk that may be away and processes that may end at any moment."""

    def __init__(self, real: PictureStore, process: Process, chance: Chance) -> None:
        self._real, self._process, self._chance = real, process, chance

    def uri(self, name: str) -> str:
        return f"pictures:{name}"

    def put(self, content: bytes, name: str) -> None:
        self._process.moment("pictures")
        self._real.put(content, name)

    def remove(self, name: str) -> None:
        self._process.moment("pictures")
        self._real.remove(name)

    def get(self, name: str) -> bytes:
        return self._real.get(name)

    def flush(self) -> None:
        self._process.moment("pictures")
        self._process.check("pictures")
        if self._chance.hits("pictures refuses, nothing is written"):
            raise StorageUnavailableError("pictures: refused")
        self._real.flush()
        if self._chance.hits("pictures writes, the answer is lost"):
            raise StorageUnavailableError("pictures: no answer")
        self._process.moment("pictures")
