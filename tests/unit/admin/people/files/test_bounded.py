"""Files named on the command line have an end, or a sentence."""

import os
import threading
from pathlib import Path

import pytest

from admin.people.files.bounded import read_bounded
from models.errors import UsageError


def test_a_file_and_a_pipe_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    os.mkfifo(tmp_path / "pipe")
    writing = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"content",))
    writing.start()
    assert read_bounded(tmp_path / "pipe", "text", 7) == read_bounded(tmp_path / "file", "text", 7) == b"content"
    writing.join()


@pytest.mark.parametrize("path", ["/dev/zero", "/", "/no/such", "/dev/null/x", "a\0b", "x" * 5_000])
def test_what_has_no_end_or_is_no_file_is_named(path: str) -> None:
    with pytest.raises(UsageError, match="expected a picture"):
        read_bounded(Path(path), "a picture", 1_000)
