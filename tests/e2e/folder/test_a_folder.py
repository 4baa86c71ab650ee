"""What somebody does who found this today: a folder of 500 files, ten commands, and nothing but the README."""

import json
from urllib.parse import quote

import cv2
import pytest

from tests.e2e.conftest import Service
from tests.e2e.folder.files import Folder

MOST_COMMANDS = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = Folder(tmp_path_factory.mktemp("mine") / "my pictures")
    assert sum(path.is_file() for path in found.path.rglob("*") if not path.parent.is_symlink()) == 500
    return found


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    running = Service(tmp_path_factory.mktemp("theirs") / "data").start()
    yield running
    assert running.stop() == 0


def test_a_folder_is_posted_tagged_searched_and_cleaned_within_ten_commands(folder, service, tmp_path):
    said = []

    def mekiki(*arguments, code=0):
        said.append(service.cli(*arguments, code=code))
        return said[-1]

    report = tmp_path / "report.jsonl"
    service.run("post", str(folder.path), "--dry-run")
    done = service.run("post", str(folder.path), "--tags-from", "sidecars", "--wait", "--report", str(report))
    assert done.returncode == 1, done.stderr  # some are no pictures
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    became = {line["file"].removeprefix(f"{folder.path}/"): line for line in lines}
    assert {name for name, line in became.items() if line["outcome"] == "searchable"} == folder.good
    bad = {name: line["reason"] for name, line in became.items() if name in folder.broken}
    assert bad.keys() == folder.broken and all(bad.values())
    some = next(iter(folder.tagged))
    mekiki("tag", became[some]["image_id"], "mine")
    assert "mine" in service.get(f"/v1/images/{quote(became[some]['image_id'], safe='')}").json()["tags"]
    sheet = tmp_path / "sheet.png"
    mekiki("search", "--id", became[some]["image_id"], "--limit", "12", "--sheet", str(sheet))
    assert min(cv2.imread(str(sheet)).shape[:2]) > 100
    found = json.loads(mekiki("search", "--tag", "夕焼け", "--limit", "40", "--json"))
    carry = {became[name]["image_id"] for name, tag in folder.tagged.items() if tag == "夕焼け"}
    assert {one["image_id"] for one in found["results"]} == carry
    letters = json.loads(mekiki("dlq", "list", "--json"))
    assert len(letters) <= len(folder.broken)
    mekiki("dlq", "drop", "--all")
    assert json.loads(mekiki("dlq", "list", "--json")) == []
    assert json.loads(mekiki("status", "--json"))["images"] == len(folder.good)
    assert len(said) + 2 <= MOST_COMMANDS
