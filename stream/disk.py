"""Room on disk, looked at before it runs out: a memory-mapped index that meets a full disk dies with SIGBUS."""

import shutil
from pathlib import Path

from models.errors import StorageUnavailableError

START_BYTES = 200_000_000  # an empty index and its write-ahead log take 70 MB
WRITE_BYTES = 80_000_000  # a segment and a piece of the log that a write may have to open


def check_room(folder: Path, needed_bytes: int) -> None:
    """Do nothing if the folder's disk has room.

    Raises:
        StorageUnavailableError: less than `needed_bytes` are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise StorageUnavailableError(
            f"disk of {folder}: {free // 1_000_000} MB of space, expected at least {needed_bytes // 1_000_000} MB; "
            "free some space or choose another data directory"
        )
