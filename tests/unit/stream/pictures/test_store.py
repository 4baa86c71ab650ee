"""Picture bytes, found by their name, which comes and goes once."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from models.errors import StorageUnavailableError
from stream.pictures.sqlite_store import PictureFile
from stream.pictures.store import PictureFolder, picture_name

CONTENT = b"picture bytes"
NAME = picture_name("a", 7)
LIMIT = 10_000


@pytest.fixture(params=["file", "folder", "file-url", "memory"])
def store(request, tmp_path):
    if request.param == "file":
        return PictureFile(tmp_path / "data" / "pictures.sqlite")
    roots = {"folder": str(tmp_path / "p"), "file-url": (tmp_path / "p").as_uri(), "memory": f"memory://{tmp_path}"}
    return PictureFolder(roots[request.param])


def test_keeps_gives_and_forgets(store):
    with pytest.raises(FileNotFoundError):
        store.get(NAME)
    store.put(CONTENT, NAME)
    store.flush()
    assert "://" in store.uri(NAME)
    assert store.get(NAME) == CONTENT
    store.put(CONTENT, NAME)
    store.flush()
    store.remove(NAME)
    store.flush()
    with pytest.raises(FileNotFoundError):
        store.get(NAME)
    store.remove(NAME)
    store.flush()


@pytest.mark.parametrize(
    "steps", ["put remove put", "put flush remove put", "put flush remove flush put", "remove flush put"]
)
def test_what_was_removed_never_comes_back(store, steps):
    """A worker that was fenced off puts what the next owner of its partition removed long ago."""
    for step in steps.split():
        {"put": lambda: store.put(CONTENT, NAME), "remove": lambda: store.remove(NAME), "flush": store.flush}[step]()
    store.flush()
    with pytest.raises(FileNotFoundError):
        store.get(NAME)


@pytest.mark.parametrize("when", ["before the bytes", "between the bytes and the look for a mark"])
def test_who_removes_while_another_puts_wins(tmp_path, monkeypatch, when):
    first, other = PictureFolder(str(tmp_path)), PictureFolder(str(tmp_path))
    replace = Path.replace

    def met(partial, target):
        monkeypatch.undo()
        for step in (lambda: replace(partial, target), lambda: other.remove(NAME))[:: -1 if "before" in when else 1]:
            step()

    monkeypatch.setattr(Path, "replace", met)
    first.put(CONTENT, NAME)
    with pytest.raises(FileNotFoundError):
        first.get(NAME)


def test_each_post_has_a_name_of_its_own():
    names = {picture_name(image_id, position) for image_id in ("a", "b", "1/a", "絵") for position in (0, 1, 11, 2**60)}
    assert len(names) == 16
    assert all(len(bytes.fromhex(name)) == 16 for name in names)


def test_a_torn_file_is_written_again(tmp_path):
    store = PictureFolder(str(tmp_path))
    store.put(CONTENT, NAME)
    Path(store.path(NAME)).write_bytes(CONTENT[:3])
    store.put(CONTENT, NAME)
    assert store.get(NAME) == CONTENT


@pytest.mark.parametrize("put_before", [False, True])
def test_a_name_lasts_from_flush_on(tmp_path, monkeypatch, put_before):
    """Names of files last once their folder is synced, that of the folder once the one above is."""
    synced, fsync = [], os.fsync
    folder = (tmp_path / NAME[:2]).resolve()
    folders = {"file": folder, "root": tmp_path.resolve()}
    if put_before:  # by another worker, that has not flushed yet
        PictureFolder(str(tmp_path)).put(CONTENT, NAME)

    def noted(descriptor):
        asked = os.fstat(descriptor)
        names = [name for name, path in folders.items() if path.exists() and os.path.samestat(asked, path.stat())]
        synced.extend((name, len(list(folder.iterdir()))) for name in names)
        fsync(descriptor)

    monkeypatch.setattr("stream.pictures.store.os.fsync", noted)
    store = PictureFolder(str(tmp_path))
    store.put(CONTENT, NAME)
    store.flush()
    assert set(synced) == {("file", 1), ("root", 1)}
    synced.clear()
    store.remove(NAME)
    store.flush()
    assert ("file", 1) in synced  # the mark of what was removed
    assert [path.suffix for path in folder.iterdir()] == [".removed"]


def test_a_full_disk_leaves_no_half_picture(tmp_path):
    code = textwrap.dedent("""
        import resource, sys
        from models.errors import StorageUnavailableError
        from stream.pictures.store import PictureFolder, picture_name
        store, content = PictureFolder(sys.argv[1]), b"x" * 100_000
        name = "ab" * 16
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
        try:
            store.put(content, name)
        except StorageUnavailableError as error:
            print(error)
        try:
            store.get(name)
        except FileNotFoundError:
            print("nothing there")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.put(content, name)
        print(store.get(name) == content)
    """)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert str(tmp_path) in said[0]
    assert said[1:] == ["nothing there", "True"]
    assert not list(tmp_path.rglob("*.part"))


def test_a_place_that_is_no_folder_is_infrastructure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailableError, match="file"):
        PictureFolder(str(tmp_path / "file")).put(CONTENT, NAME)
