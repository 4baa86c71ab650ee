"""Picture bytes: kept content-addressed under an fsspec URL, or fetched by dataref.

In: bytes with their sha256, or a `dataref` URL. Out: an fsspec URI, or bytes. Raises PolicyError (a dataref outside
the allowed folders and hosts, a hash that does not match, too many bytes) and StorageUnavailableError (disk full).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import fsspec

from models.errors import PolicyError, StorageUnavailableError

# What is wrong with the path itself, and will be tomorrow; anything else is the disk's fault.
_PATH_ERRORS = {
    errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL,
}  # fmt: skip
_TEMPORARY_HTTP = {408, 425, 429}


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
            raise _storage_error(f"pictures at {self._root}", error) from error
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
            raise _storage_error(f"pictures at {self._root}", error) from error

    def flush(self) -> None:
        """See PictureStore.flush: everything is written at once."""


class DatarefReader:
    """Fetches what a dataref names, within the allowed folders and hosts."""

    def __init__(
        self, roots: Sequence[Path], hosts: Sequence[str], max_bytes: int, *, uploads: Path | None = None
    ) -> None:
        """`uploads` is a folder of our own: allowed, and what is deleted from the index is deleted there."""
        self._uploads = uploads.expanduser().resolve() if uploads is not None else None
        self._roots = [root.expanduser().resolve() for root in roots]
        if self._uploads is not None:
            self._roots.append(self._uploads)
        self._hosts = {host.lower() for host in hosts}
        self._max_bytes = max_bytes

    def forget(self, dataref: str) -> None:
        """Delete an uploaded file; what others keep elsewhere is theirs.

        Raises:
            StorageUnavailableError: the disk does not let us.
        """
        url = urlsplit(dataref)
        if self._uploads is None or url.scheme != "file":
            return
        path = Path(unquote(url.path)).resolve()
        if path.is_relative_to(self._uploads):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _storage_error(f"upload {path.name}", error) from error

    def read(self, dataref: str) -> bytes:
        """The bytes behind a `file:` or `http(s):` URL.

        Raises:
            PolicyError: reason `dataref_forbidden`, `dataref_missing` or `too_large`.
        """
        try:
            url = urlsplit(dataref)
            _ = url.port  # reading it checks it
        except ValueError:  # e.g. half an IPv6 address
            raise _forbidden(dataref, "not a URL") from None
        if url.scheme == "file":
            return self._read_file(unquote(url.path), dataref)
        if url.scheme in ("http", "https"):
            if (url.hostname or "").lower() in self._hosts:
                return self._read_remote(dataref)
            raise _forbidden(dataref, "MEKIKI_INGEST__DATAREF_HOSTS does not name its host")
        raise _forbidden(dataref, "expected file:, http: or https:")

    def _read_file(self, path: str, dataref: str) -> bytes:
        try:
            real = Path(path).resolve()  # follows links: what counts is where the bytes are
        except (OSError, ValueError, RuntimeError):
            raise _forbidden(dataref, "not a path") from None
        if not any(real.is_relative_to(root) for root in self._roots):
            raise _forbidden(dataref, "outside the folders of MEKIKI_INGEST__DATAREF_ROOTS")
        try:
            if real.stat().st_size > self._max_bytes:
                raise PolicyError(f"dataref {dataref[:200]}: expected at most {self._max_bytes} bytes", "too_large")
            return real.read_bytes()
        except OSError as error:
            if error.errno not in _PATH_ERRORS:
                raise _storage_error(f"dataref {dataref[:200]}", error) from error
            raise PolicyError(f"dataref {dataref[:200]}: {error.strerror}; put it there", "dataref_missing") from None

    def _read_remote(self, dataref: str) -> bytes:
        import httpx

        content = bytearray()
        try:
            with httpx.stream("GET", dataref, timeout=10.0, follow_redirects=False) as answer:
                status = answer.status_code
                if answer.is_redirect or (400 <= status < 500 and status not in _TEMPORARY_HTTP):
                    raise PolicyError(f"dataref {dataref[:200]}: HTTP {status}", "dataref_missing")
                answer.raise_for_status()
                for chunk in answer.iter_bytes():
                    content += chunk
                    if len(content) > self._max_bytes:
                        raise PolicyError(
                            f"dataref {dataref[:200]}: expected at most {self._max_bytes} bytes", "too_large"
                        )
        except httpx.InvalidURL:
            raise _forbidden(dataref, "not a URL") from None
        except httpx.HTTPError as error:
            raise StorageUnavailableError(f"dataref {dataref[:200]}: {error}") from error
        return bytes(content)


def checked_sha256(content: bytes, expected: str | None) -> str:
    """The hash of the bytes.

    Raises:
        PolicyError: reason `sha256_mismatch`, it is not the expected one.
    """
    found = hashlib.sha256(content).hexdigest()
    if expected is not None and found != expected:
        raise PolicyError(f"sha256 {found}: expected {expected} as the event says; post it again", "sha256_mismatch")
    return found


def _forbidden(dataref: str, why: str) -> PolicyError:
    return PolicyError(f"dataref {dataref[:200]}: {why}; allow it or post the bytes inline", "dataref_forbidden")


def _storage_error(what: str, error: OSError) -> StorageUnavailableError:
    full: dict[int, Any] = {errno.ENOSPC: "disk full; free some space", errno.EDQUOT: "quota used up; free some space"}
    return StorageUnavailableError(f"{what}: {full.get(error.errno or 0, error.strerror or error)}")
