"""Picture bytes: kept content-addressed under an fsspec URL, or fetched by dataref.

In: bytes with their sha256, or a `dataref` URL. Out: an fsspec URI, or bytes. Raises PolicyError (a dataref outside
the allowed folders and hosts, a hash that does not match, too many bytes) and StorageUnavailableError (disk full).
"""

import errno
import os
from pathlib import Path
from typing import Any, Protocol

import fsspec

from models.errors import StorageUnavailableError


class PictureStore(Protocol):
    """Bytes by their sha256 in hex. `put`, `remove` and `flush` are for one thread at a time."""

    def uri(self, sha256: str) -> str:
        """Where the bytes are, or would be."""

    def put(self, content: bytes, sha256: str) -> None:
        """Keep bytes, from `flush` on at the latest. The same bytes again change nothing."""

    def remove(self, sha256: str) -> None:
        """Forget the bytes, from `flush` on at the latest; fine if they are gone already."""

    def flush(self) -> None:
        """Write what waits; after it no death of this process takes anything back."""

    def get(self, sha256: str) -> bytes:
        """The bytes with this hash.

        Raises:
            FileNotFoundError: they are not here.
        """


class PictureFolder:
    """See PictureStore: a file or object each, `<root>/ab/cdef...` under one fsspec URL. Thread-safe."""

    def __init__(self, root: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(root)
        self._scheme = root.split("://", 1)[0] + "://" if "://" in root else "file://"
        self._unsynced: set[Path] = set()  # folders with names that came or went

    def path(self, sha256: str) -> str:
        """Where the bytes with this hash are."""
        return f"{self._root}/{sha256[:2]}/{sha256[2:]}"

    def uri(self, sha256: str) -> str:
        """See PictureStore.uri: an fsspec URI."""
        return self._scheme + self.path(sha256)

    def put(self, content: bytes, sha256: str) -> None:
        """See PictureStore.put."""
        path = self.path(sha256)
        try:
            self._change(path)  # also where it is there already: whoever put it may not have synced its name yet
            if self._fs.exists(path) and self._fs.size(path) == len(content):
                return
            if self._scheme == "file://":
                _put_whole(Path(path), content)
            else:
                self._fs.pipe_file(path, content)
        except OSError as error:
            raise storage_error(f"pictures at {self._root}", error) from error

    def get(self, sha256: str) -> bytes:
        """See PictureStore.get."""
        return bytes(self._fs.cat_file(self.path(sha256)))

    def remove(self, sha256: str) -> None:
        """See PictureStore.remove."""
        try:
            self._change(self.path(sha256))
            self._fs.rm_file(self.path(sha256))
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
