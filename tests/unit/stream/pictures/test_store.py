"""Picture bytes, found by their hash."""

import hashlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from models.errors import StorageUnavailableError
from stream.pictures.sqlite_store import PictureFile
from stream.pictures.store import PictureFolder

CONTENT = b"picture bytes"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LIMIT = 10_000


@pytest.fixture(params=["file", "folder", "file-url", "memory"])
def store(request, tmp_path):
    if request.param == "file":
        return PictureFile(tmp_path / "data" / "pictures.sqlite")
    roots = {"folder": str(tmp_path / "p"), "file-url": (tmp_path / "p").as_uri(), "memory": f"memory://{tmp_path}"}
    return PictureFolder(roots[request.param])


def test_keeps_gives_and_forgets(store):
    with pytest.raises(FileNotFoundError):
        store.get(SHA256)
    store.put(CONTENT, SHA256)
    store.flush()
    assert "://" in store.uri(SHA256)
    assert store.get(SHA256) == CONTENT
    store.put(CONTENT, SHA256)
    store.flush()
    store.remove(SHA256)
    store.flush()
    with pytest.raises(FileNotFoundError):
        store.get(SHA256)
    store.remove(SHA256)
    store.flush()


def test_what_is_removed_and_put_again_stays(store):
    store.put(CONTENT, SHA256)
    store.remove(SHA256)
    store.put(CONTENT, SHA256)
    store.flush()
    assert store.get(SHA256) == CONTENT


def test_a_torn_file_is_written_again(tmp_path):
    store = PictureFolder(str(tmp_path))
    store.put(CONTENT, SHA256)
    Path(store.path(SHA256)).write_bytes(CONTENT[:3])
    store.put(CONTENT, SHA256)
    assert store.get(SHA256) == CONTENT


@pytest.mark.parametrize("put_before", [False, True])
def test_a_name_lasts_from_flush_on(tmp_path, monkeypatch, put_before):
    """Names of files last once their folder is synced, that of the folder once the one above is."""
    synced, fsync = [], os.fsync
    folder = (tmp_path / SHA256[:2]).resolve()
    folders = {"file": folder, "root": tmp_path.resolve()}
    if put_before:  # by another worker, that has not flushed yet
        PictureFolder(str(tmp_path)).put(CONTENT, SHA256)

    def noted(descriptor):
        asked = os.fstat(descriptor)
        names = [name for name, path in folders.items() if path.exists() and os.path.samestat(asked, path.stat())]
        synced.extend((name, len(list(folder.iterdir()))) for name in names)
        fsync(descriptor)

    monkeypatch.setattr("stream.pictures.store.os.fsync", noted)
    store = PictureFolder(str(tmp_path))
    store.put(CONTENT, SHA256)
    store.flush()
    assert set(synced) == {("file", 1), ("root", 1)}
    synced.clear()
    store.remove(SHA256)
    store.flush()
    assert ("file", 0) in synced


def test_a_full_disk_leaves_no_half_picture(tmp_path):
    code = textwrap.dedent("""
        import hashlib, resource, sys
        from models.errors import StorageUnavailableError
        from stream.pictures.store import PictureFolder
        store, content = PictureFolder(sys.argv[1]), b"x" * 100_000
        sha256 = hashlib.sha256(content).hexdigest()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
        try:
            store.put(content, sha256)
        except StorageUnavailableError as error:
            print(error)
        try:
            store.get(sha256)
        except FileNotFoundError:
            print("nothing there")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.put(content, sha256)
        print(store.get(sha256) == content)
    """)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert str(tmp_path) in said[0]
    assert said[1:] == ["nothing there", "True"]
    assert not list(tmp_path.rglob("*.part"))


def test_a_place_that_is_no_folder_is_infrastructure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailableError, match="file"):
        PictureFolder(str(tmp_path / "file")).put(CONTENT, SHA256)
