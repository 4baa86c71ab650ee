"""Files that are there whole or not at all, and what a disk says when it refuses.

In: a path and bytes. Out: the file. Raises StorageUnavailableError: the disk is full, away or read-only.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from models.errors import StorageUnavailableError


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a file into our error."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full; free some space, then start again" if full else f"{error.strerror}; choose another"
        raise StorageUnavailableError(f"training folder {path}: expected room to write in, {why}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in place in one step; after return it survives a power cut.

    Raises:
        StorageUnavailableError: what was there before is there still.
    """
    partial = path.with_name(path.name + ".part")
    with disk_errors(path.parent):
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
