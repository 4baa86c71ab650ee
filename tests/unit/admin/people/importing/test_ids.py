"""The ids that pictures get."""

import os
from pathlib import Path

import pytest

from admin.people.files.walk import Walk
from admin.people.importing.ids import check_different, id_of, written
from models.errors import UsageError
from tests.e2e.conftest import drawing


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("cats/1.jpg", "cats/deep/2.PNG", "dogs/1.jpg", "dogs/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" if path.suffix == ".txt" else drawing(1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ids(*paths, **how):
    walk = Walk()
    walk.take([str(path) for path in paths])
    return [id_of(picture, **how) for picture in walk.pictures]


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
    assert ids("*/1.jpg") == ["cats/1.jpg", "dogs/1.jpg"]


def test_ids_may_be_made_of_other_things(folder):
    assert ids("cats", "dogs", how="name") == ["1.jpg", "2.PNG", "1.jpg"]
    assert ids("cats", how="hash") == ["", ""]
    assert ids("cats", "dogs/1.jpg", root=folder.parent) == [
        f"{folder.name}/{name}" for name in ("cats/1.jpg", "cats/deep/2.PNG", "dogs/1.jpg")
    ]
    assert ids("cats", root=Path()) == ["cats/1.jpg", "cats/deep/2.PNG"]
    with pytest.raises(UsageError, match=r"dogs/1.jpg: not below --root cats"):
        ids("dogs", root=Path("cats"))


@pytest.mark.parametrize(("name", "image_id"), [
    ("cafe\u0301.jpg", "café.jpg"), (os.fsdecode(b"caf\xe9.jpg"), "caf%E9.jpg"), ("a\nb\x7f", "a%0Ab%7F"),
    ("100% #1 [x].jpg", "100% #1 [x].jpg"), ("ねこ.png", "ねこ.png"),
])  # fmt: skip
def test_an_id_is_text_in_composed_form(name, image_id):
    assert written(name) == image_id


def test_two_files_with_one_id_are_refused_with_the_remedy():
    named = [(Path(f"{year}/cover.jpg"), "cover.jpg") for year in range(2020, 2026)]
    with pytest.raises(UsageError) as caught:
        check_different([*named, (Path("x"), ""), (Path("y"), "")])
    said = str(caught.value)
    assert "2020/cover.jpg and 2021/cover.jpg would both be 'cover.jpg'" in said
    assert "and 2 more" in said and "--root" in said and "--id-from hash" in said
    check_different([(Path("x"), ""), (Path("y"), ""), (Path("z"), "z")])
