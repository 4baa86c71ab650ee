"""Pictures in one file: whole batches or nothing, several processes, a full disk, nothing left of what is deleted."""

import subprocess
import sys
import textwrap

import pytest

from models.errors import ConfigurationError, StorageUnavailableError
from stream.pictures.sqlite_store import PictureFile
from stream.pictures.store import picture_name

ONE, TWO = b"one " * 3_000, b"two " * 3_000
FIRST, SECOND = picture_name("a", 1), picture_name("a", 2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pictures.sqlite"


def run(code, path):
    """What a process of its own says."""
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_another_process_sees_a_batch_once_it_is_flushed(path):
    writer, reader = PictureFile(path), PictureFile(path)
    writer.put(ONE, FIRST)
    with pytest.raises(FileNotFoundError):
        reader.get(FIRST)
    writer.flush()
    assert reader.get(FIRST) == ONE
    other = PictureFile(path)
    other.put(TWO, SECOND)
    other.flush()
    assert writer.get(SECOND) == reader.get(SECOND) == TWO


def test_who_is_killed_after_a_flush_has_lost_nothing_and_before_it_the_batch(path):
    killed = run(
        """
        import os, signal, sys
        from pathlib import Path
        from stream.pictures.sqlite_store import PictureFile
        store = PictureFile(Path(sys.argv[1]))
        from stream.pictures.store import picture_name
        for content, position in ((b"one " * 3_000, 1), (b"two " * 3_000, 2)):
            store.put(content, picture_name("a", position))
            if position == 1:
                store.flush()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        path,
    )
    assert killed.returncode == -9
    store = PictureFile(path)
    assert store.get(FIRST) == ONE
    with pytest.raises(FileNotFoundError):
        store.get(SECOND)


def test_a_full_disk_is_one_sentence_and_the_batch_waits(path):
    done = run(
        """
        import resource, signal, sys
        from pathlib import Path
        from models.errors import StorageUnavailableError
        from stream.pictures.sqlite_store import PictureFile
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = PictureFile(Path(sys.argv[1]))
        contents = [bytes([n]) * 50_000 for n in range(8)]
        names = [f"{n:032x}" for n in range(8)]
        store.put(contents[0], names[0])
        store.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        for content, name in zip(contents, names):
            store.put(content, name)
        for attempt in range(2):
            try:
                store.flush()
            except StorageUnavailableError as error:
                print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.flush()
        print([store.get(name) for name in names] == contents)
        """,
        path,
    )
    first, second, last = done.stdout.splitlines()
    assert first == second
    assert str(path) in first
    assert "free" in first
    assert last == "True", done.stderr


def test_nothing_is_left_in_the_file_of_what_was_deleted(path):
    store = PictureFile(path)
    store.put(ONE, FIRST)
    store.put(TWO, SECOND)
    store.flush()
    store.remove(FIRST)
    store.flush()
    left = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert ONE[:100] not in left
    assert TWO[:100] in left


def test_a_file_that_is_none_of_ours_is_named(path):
    path.write_bytes(b"x" * 10_000)
    with pytest.raises(ConfigurationError, match=r"pictures\.sqlite"):
        PictureFile(path).get(FIRST)


def test_a_folder_that_cannot_be_made_is_infrastructure(tmp_path):
    (tmp_path / "file").write_text("")
    store = PictureFile(tmp_path / "file" / "pictures.sqlite")
    store.put(ONE, FIRST)
    with pytest.raises(StorageUnavailableError, match="file"):
        store.flush()
