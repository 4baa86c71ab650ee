"""What is to be posted, decided before anything is sent."""

import io
import sys

import pytest

from admin.people.importing import commas
from admin.people.importing.plan import Wanted, make_plan
from models.errors import UsageError
from tests.e2e.conftest import drawing


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for number, name in enumerate(("in/a/0.png", "in/a/1.png", "in/b/0.png")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawing(number))
    (tmp_path / "in/a/0.txt").write_text("cat, red panda")
    (tmp_path / "tags.jsonl").write_text('{"file": "a/1.png", "tags": ["one"], "image_id": 7, "title": "One"}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(*paths, **wanted):
    plan = make_plan(Wanted(paths or ("in",), **wanted))
    return {one.image_id: one for one in plan.pictures}, plan


def test_all_that_people_say_comes_together(folder):
    sources = ("folders", "sidecars", "tags.jsonl", "keywords")
    found, plan = planned(tags=("all",), tags_from=sources, details={"title": "T", "author": "A"})
    assert {image_id: one.said.tags for image_id, one in found.items()} == {
        "in/a/0.png": ("all", "a", "cat", "red panda"), "7": ("all", "a", "one"), "in/b/0.png": ("all", "b"),
    }  # fmt: skip
    assert found["7"].said.details == {"title": "One", "author": "A"}
    assert found["in/b/0.png"].said.details == {"title": "T", "author": "A"}
    assert [one.reason for one in plan.passed] == ["read for its picture's tags"]


def test_what_lies_beside_is_said_where_nobody_asked_for_it(folder):
    assert [one.reason for one in planned()[1].passed] == [
        "may hold its picture's tags; --tags-from sidecars reads them"
    ]


def test_a_picture_whose_sidecar_cannot_be_read_is_not_posted(folder):
    (folder / "in/a/0.txt").write_bytes(b"\xff\xfe\0")
    found, plan = planned(tags_from=("sidecars",))
    assert list(found) == ["in/a/1.png", "in/b/0.png"]
    assert [(str(one.path), one.failed) for one in plan.passed] == [("in/a/0.txt", False), ("in/a/0.png", True)]


@pytest.mark.parametrize("wanted", [{"id_from": "name"}, {"image_id": "x"}, {"tags_from": ("same.csv",)}])
def test_ids_that_clash_are_refused(folder, wanted):
    (folder / "same.csv").write_text("file,image_id\na/0.png,x\na/1.png,x\n")
    with pytest.raises(UsageError, match="expected"):
        planned(**wanted)


def test_a_bad_tag_costs_itself_and_one_of_the_command_line_everything(folder):
    (folder / "tags.csv").write_text(f"file,tags\na/0.png,good|{'x' * 163}\n")
    found, _ = planned(tags_from=("tags.csv",))
    assert found["in/a/0.png"].said.tags == ("good",)
    assert found["in/a/0.png"].notes[0].startswith("without tag 'xxx")
    with pytest.raises(UsageError, match="of 163 characters"):
        planned(tags=("x" * 163,))


def test_commas_are_decided_or_refused(folder, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(UsageError, match=r"'cat, dog': expected one tag each; --split-commas .* --keep-commas"):
        planned(tags=("cat, dog",))
    assert planned(tags=("cat, dog",), split_commas=True)[0]["in/b/0.png"].said.tags == ("cat", "dog")
    assert planned(tags=("cat, dog",), split_commas=False)[0]["in/b/0.png"].said.tags == ("cat, dog",)
    assert commas.split(("a,, b", "a", ",")) == ("a", "b")
    assert not commas.to_be_split(["a", "b"], None)
