"""Bytes behind a dataref: read within the allowed folders and hosts.

In: a `dataref` URL. Out: bytes. Raises PolicyError (outside the allowed folders and hosts, a hash that does not match,
too many bytes) and StorageUnavailableError (the store does not answer).
"""

import errno
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from models.errors import PolicyError, StorageUnavailableError
from stream.pictures.store import storage_error

# What is wrong with the path itself, and will be tomorrow; anything else is the disk's fault.
_PATH_ERRORS = {
    errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL,
}  # fmt: skip


_TEMPORARY_HTTP = {408, 425, 429}
REMOTE_S = 8.0  # for a whole picture


class DatarefReader:
    """Fetches what a dataref names, within the allowed folders and hosts."""

    def __init__(self, roots: Sequence[Path], hosts: Sequence[str], max_bytes: int, *, uploads: Path) -> None:
        """`uploads` is a folder of our own: allowed, and what is deleted from the index is deleted there."""
        self._uploads = uploads.resolve()
        self._roots = [self._uploads, *(root.expanduser().resolve() for root in roots)]
        self._hosts = {host.lower() for host in hosts}
        self._max_bytes = max_bytes

    def forget(self, dataref: str) -> None:
        """Delete an uploaded file; what others keep elsewhere is theirs.

        Raises:
            StorageUnavailableError: the disk does not let us.
        """
        url = urlsplit(dataref)
        path = Path(unquote(url.path)).resolve()
        if url.scheme == "file" and path.is_relative_to(self._uploads):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise storage_error(f"upload {path.name}", error) from error

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
                raise self._too_large(dataref)
            return real.read_bytes()
        except OSError as error:
            if error.errno not in _PATH_ERRORS:
                raise storage_error(f"dataref {dataref[:200]}", error) from error
            raise PolicyError(f"dataref {dataref[:200]}: {error.strerror}; put it there", "dataref_missing") from None

    def _read_remote(self, dataref: str) -> bytes:
        import httpx

        content = bytearray()
        until_s = time.monotonic() + REMOTE_S
        try:
            with httpx.stream("GET", dataref, timeout=REMOTE_S / 2, follow_redirects=False) as answer:
                status = answer.status_code
                if answer.is_redirect or (400 <= status < 500 and status not in _TEMPORARY_HTTP):
                    raise PolicyError(f"dataref {dataref[:200]}: HTTP {status}", "dataref_missing")
                if status >= 400:
                    raise StorageUnavailableError(f"dataref {dataref[:200]}: HTTP {status}")
                for chunk in answer.iter_bytes():
                    content += chunk
                    if time.monotonic() > until_s:
                        raise StorageUnavailableError(f"dataref {dataref[:200]}: not here within {REMOTE_S:.0f} s")
                    if len(content) > self._max_bytes:
                        raise self._too_large(dataref)
        except httpx.InvalidURL:
            raise _forbidden(dataref, "not a URL") from None
        except httpx.HTTPError as error:
            raise StorageUnavailableError(f"dataref {dataref[:200]}: {error}") from error
        return bytes(content)

    def _too_large(self, dataref: str) -> PolicyError:
        return PolicyError(f"dataref {dataref[:200]}: expected at most {self._max_bytes} bytes", "too_large")


def is_remote(dataref: str) -> bool:
    """Whether somebody else serves the bytes, in a time of their own."""
    return dataref[:5].lower().startswith(("http:", "https"))


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
