"""Which pictures `mekiki post` takes, and the ids they get."""

import pytest

from admin.people.post import expand
from models.errors import UsageError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("cats/1.jpg", "cats/deep/2.PNG", "dogs/1.jpg", "dogs/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ids(*paths):
    return [image_id for _, image_id in expand([str(path) for path in paths])]


def test_two_folders_do_not_overwrite_each_other(folder):
    expected = ["cats/1.jpg", "cats/deep/2.PNG", "dogs/1.jpg"]
    assert ids(folder / "cats", folder / "dogs") == expected
    assert ids("cats", "dogs") == expected
    assert ids("./cats/", "dogs") == expected


def test_single_files_are_named_as_given(folder):
    assert ids("cats/1.jpg") == ["cats/1.jpg"]
    assert ids("./cats/1.jpg") == ["cats/1.jpg"]
    assert ids(folder / "cats" / "1.jpg") == ["1.jpg"]
    assert ids("cats/../dogs/1.jpg") == ["1.jpg"]


def test_globs(folder):
    assert ids("*/1.jpg") == ["cats/1.jpg", "dogs/1.jpg"]
    with pytest.raises(UsageError, match=r"nothing/\*\.jpg"):
        ids("nothing/*.jpg")
