"""Picture bytes: kept content-addressed under an fsspec URL, or fetched by dataref.

In: bytes with their sha256, or a `dataref` URL. Out: an fsspec URI, or bytes. Raises PolicyError (a dataref outside
the allowed folders and hosts, a hash that does not match, too many bytes) and StorageUnavailableError (disk full).
"""

import contextlib
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

    def put(self, content: bytes, sha256: str) -> str:
        """Keep bytes, from `flush` on at the latest; returns their URI. The same bytes again change nothing."""

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
        self._local = self._scheme == "file://"
        self._folders: set[str] = set()
        self._unsynced: set[str] = set()  # folders with new files

    def path(self, sha256: str) -> str:
        """Where the bytes with this hash are."""
        return f"{self._root}/{sha256[:2]}/{sha256[2:]}"

    def uri(self, sha256: str) -> str:
        """See PictureStore.uri: an fsspec URI."""
        return self._scheme + self.path(sha256)

    def put(self, content: bytes, sha256: str) -> str:
        """See PictureStore.put."""
        path = self.path(sha256)
        try:
            if self._local:
                self._put_local(path, content)
            elif not self._fs.exists(path):
                self._fs.pipe_file(path, content)
        except OSError as error:
            raise storage_error(f"pictures at {self._root}", error) from error
        return self.uri(sha256)

    def _put_local(self, path: str, content: bytes) -> None:
        folder = os.path.dirname(path)  # noqa: PTH120 - strings throughout: this runs once a picture
        if folder not in self._folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_size == len(content):  # noqa: PTH116
                return
        partial = f"{path}.{os.getpid()}.part"
        try:
            with open(partial, "wb") as file:  # noqa: PTH123
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # the offset that covers it must not outlive it
            self._unsynced.add(folder)
            os.replace(partial, path)  # noqa: PTH105
        except OSError:
            self._folders.discard(folder)  # it may be gone
            Path(partial).unlink(missing_ok=True)  # half a picture on a full disk helps nobody
            raise

    def get(self, sha256: str) -> bytes:
        """See PictureStore.get."""
        found: bytes = self._fs.cat_file(self.path(sha256))
        return found

    def remove(self, sha256: str) -> None:
        """See PictureStore.remove."""
        try:
            self._fs.rm_file(self.path(sha256))
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(f"pictures at {self._root}", error) from error

    def flush(self) -> None:
        """See PictureStore.flush: bytes are written at once, the names of new files here."""
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


def storage_error(what: str, error: OSError) -> StorageUnavailableError:
    """The sentence for a disk or store that refuses; `what` names what was to be done with it."""
    full: dict[int, Any] = {errno.ENOSPC: "disk full; free some space", errno.EDQUOT: "quota used up; free some space"}
    return StorageUnavailableError(f"{what}: {full.get(error.errno or 0, error.strerror or error)}")
