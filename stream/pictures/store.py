"""Picture bytes that came inline, each under a name of its own: image and place in the log.

In: bytes with their name. Out: an fsspec URI, or bytes. Raises StorageUnavailableError (disk full). A name is removed
once and never comes back, so that it does not matter in which order workers put and remove, or whether one of them was
fenced off (docs/decisions/0030-a-name-for-each-picture.md).
"""

import errno
import hashlib
import os
from pathlib import Path
from typing import Any, Protocol

import fsspec

from models.errors import StorageUnavailableError

REMOVED = ".removed"  # follows the name of a file that was removed


def picture_name(image_id: str, position: int) -> str:
    """The name of the bytes that were posted for an image at a position of its partition: 32 hex digits."""
    return hashlib.sha256(f"{position}/{image_id}".encode()).hexdigest()[:32]


class PictureStore(Protocol):
    """Bytes by name, see `picture_name`. `put`, `remove` and `flush` are for one thread at a time."""

    def uri(self, name: str) -> str:
        """Where the bytes are, or would be."""

    def put(self, content: bytes, name: str) -> None:
        """Keep bytes, from `flush` on at the latest; nothing happens where the name is there or was removed."""

    def remove(self, name: str) -> None:
        """Forget the bytes for ever, from `flush` on at the latest; fine if they are gone or never came."""

    def flush(self) -> None:
        """Write what waits; after it no death of this process takes anything back."""

    def get(self, name: str) -> bytes:
        """The bytes of this name.

        Raises:
            FileNotFoundError: they are not here.
        """


class PictureFolder:
    """See PictureStore: a file or object each, `<root>/ab/cdef...` under one fsspec URL. Thread-safe.

    An empty `cdef....removed` stays of what was removed. Who puts looks for it afterwards, who removes leaves it first:
    one of them sees the other.
    """

    def __init__(self, root: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(root)
        self._scheme = root.split("://", 1)[0] + "://" if "://" in root else "file://"
        self._unsynced: set[Path] = set()  # folders with names that came or went

    def path(self, name: str) -> str:
        """Where the bytes of this name are."""
        return f"{self._root}/{name[:2]}/{name[2:]}"

    def uri(self, name: str) -> str:
        """See PictureStore.uri: an fsspec URI."""
        return self._scheme + self.path(name)

    def put(self, content: bytes, name: str) -> None:
        """See PictureStore.put."""
        path = self.path(name)
        try:
            self._change(path)  # also where it is there already: whoever put it may not have synced its name yet
            if not (self._fs.exists(path) and self._fs.size(path) == len(content)):
                self._write(path, content)
            if self._fs.exists(path + REMOVED):
                self._fs.rm_file(path)
        except FileNotFoundError:
            return  # whoever removes it was faster
        except OSError as error:
            raise storage_error(f"pictures at {self._root}", error) from error

    def _write(self, path: str, content: bytes) -> None:
        if self._scheme == "file://":
            _put_whole(Path(path), content)
        else:
            self._fs.pipe_file(path, content)

    def get(self, name: str) -> bytes:
        """See PictureStore.get."""
        return bytes(self._fs.cat_file(self.path(name)))

    def remove(self, name: str) -> None:
        """See PictureStore.remove."""
        path = self.path(name)
        try:
            self._change(path)
            self._write(path + REMOVED, b"")
            self._fs.rm_file(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(f"pictures at {self._root}", error) from error

    def _change(self, path: str) -> None:
        """Remember that names change: that of a file in its folder, and maybe that of its folder."""
        if self._scheme == "file://":
            self._unsynced |= {Path(path).parent, Path(path).parent.parent}

    def flush(self) -> None:
        """See PictureStore.flush: bytes are written at once, the names of files that came or went here."""
        while self._unsynced:
            folder = self._unsynced.pop()
            try:
                descriptor = os.open(folder, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            except FileNotFoundError:
                continue  # somebody took it away, with what was in it
            except OSError as error:
                self._unsynced.add(folder)
                raise storage_error(f"pictures at {self._root}", error) from error


def _put_whole(path: Path, content: bytes) -> None:
    partial = path.with_suffix(f".{os.getpid()}.part")
    path.parent.mkdir(exist_ok=True, parents=True)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # the offset that covers it must not outlive it
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)  # half a picture on a full disk helps nobody


def storage_error(what: str, error: OSError) -> StorageUnavailableError:
    """The sentence for a disk or store that refuses; `what` names what was to be done with it."""
    full: dict[int, Any] = {errno.ENOSPC: "disk full; free some space", errno.EDQUOT: "quota used up; free some space"}
    return StorageUnavailableError(f"{what}: {full.get(error.errno or 0, error.strerror or error)}")
