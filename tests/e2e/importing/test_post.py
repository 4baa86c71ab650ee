"""`mekiki post` as a person meets it: everything in a folder is taken, or reported with a reason."""

import json
import os
import pty
import signal
import subprocess
import sys
import zlib

import pytest

from tests.cluster import ROOT, wait_for
from tests.e2e.conftest import clean_environment, drawing


@pytest.fixture
def folder(tmp_path):
    """An empty folder of a name of its own: ids begin with it."""
    folder = tmp_path / tmp_path.name
    folder.mkdir()
    return folder


def put(folder, name, content=None, *, seed=None):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(drawing(zlib.crc32(os.fsencode(name)) if seed is None else seed) if content is None else content)
    return path


def report_of(path):
    """Outcomes by the name of the file."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {os.path.basename(row["file"]): row for row in rows}  # noqa: PTH119 - names of any bytes


def image(service, image_id):
    """What the index has of an image, whatever characters its id has."""
    known = service.post("/v1/images/known", json={"image_ids": [image_id]}).json()["images"]
    return known[0] if known else None


def test_everything_is_taken_or_told(service, folder, tmp_path):
    for name in ("a.jfif", "b.jpe", "c.PnG", "noext", "ねこ.png", "deep/er/d.dat"):
        put(folder, name)
    put(folder, os.fsdecode(b"caf\xe9.jpg"))
    put(folder, "two\nlines.png")
    put(folder, "notes.md", b"# notes")
    put(folder, "page.jpg", b"<html>")
    put(folder, "cut.png", drawing(5)[:60])
    put(folder, "large.png", drawing(6) + bytes(20_000_001))
    put(folder, f"{'x' * 200}/{'y' * 200}.png")
    (folder / "link").symlink_to("deep")
    report = tmp_path / "report.jsonl"
    said = service.cli("post", str(folder), "--wait", "--report", str(report), code=1)
    rows = report_of(report)
    outcomes = {name: row["outcome"] for name, row in rows.items()}
    latin = os.fsdecode(b"caf\xe9.jpg")
    searchable = ["a.jfif", "b.jpe", "c.PnG", "noext", "ねこ.png", "d.dat", latin, "two\nlines.png"]
    assert outcomes == dict.fromkeys(searchable, "searchable") | {
        "notes.md": "skipped", "link": "skipped", "page.jpg": "failed", "cut.png": "dead", "large.png": "failed",
        f"{'y' * 200}.png": "failed",
    }  # fmt: skip
    assert rows[latin]["image_id"] == f"{folder.name}/caf%E9.jpg"
    assert rows["two\nlines.png"]["image_id"] == f"{folder.name}/two%0Alines.png"
    assert "not_an_image" in rows["cut.png"]["reason"] or "truncated" in rows["cut.png"]["reason"]
    assert "256 characters" in rows[f"{'y' * 200}.png"]["reason"]
    assert "Traceback" not in said
    assert all(image(service, rows[name]["image_id"])["state"] == "there" for name in searchable)


def test_the_summary_says_what_came_of_it(service, folder):
    put(folder, "1.png")
    put(folder, "[red] 100%.png")
    put(folder, "notes.md", b"# notes")
    put(folder, "[bold]page.jpg", b"<html>")
    before = service.run("post", str(folder))
    assert before.returncode == 1
    said = before.stdout
    assert said.startswith("posted 2 pictures, ")
    assert "skipped 1: 1 no picture" in said
    assert "[bold]page.jpg: no bytes of any picture format; save it as JPEG or PNG" in said


def test_what_is_there_is_not_sent_again_and_keeps_its_time(service, folder):
    first, second = put(folder, "1.png", seed=1), put(folder, "2.png", seed=2)
    service.cli("post", str(folder), "--wait")
    posted_at = image(service, f"{folder.name}/1.png")["posted_at"]
    events = image(service, f"{folder.name}/1.png")["events"]
    assert "already there 2" in service.cli("post", str(folder))
    assert image(service, f"{folder.name}/1.png")["events"] == events
    first.write_bytes(drawing(3))
    said = service.cli("post", str(folder), "--wait")
    assert said.startswith("posted 1 pictures") and "already there 1" in said
    assert image(service, f"{folder.name}/1.png")["posted_at"] == posted_at
    assert service.cli("post", str(second), "--root", str(folder.parent), "--again").startswith("posted 1 pictures")
    wait_for(lambda: len(image(service, f"{folder.name}/2.png")["events"]) == 2, "the second post")


def test_tags_of_what_is_there_are_sent_alone(service, folder):
    put(folder, "1.png")
    service.cli("post", str(folder), "--wait", "--tag", "First Tag")
    said = service.cli("post", str(folder), "--tag", "first_tag", "--tag", "later")
    assert "already there 1: 1 tags added" in said
    wait_for(lambda: image(service, f"{folder.name}/1.png")["tags"] == ["first tag", "later"], "the tag")
    service.cli("post", str(folder), "--title", "Named", "--metadata", "n=1", "--wait")
    known = image(service, f"{folder.name}/1.png")
    assert (known["title"], known["metadata"], known["tags"]) == ("Named", {"n": "1"}, ["first tag", "later"])


def test_two_folders_with_the_same_names(service, folder):
    for year in ("2023", "2024"):
        put(folder, f"{year}/holiday/cover.png")
    paths = (str(folder / "2023/holiday"), str(folder / "2024/holiday"))
    said = service.cli("post", *paths, code=2)
    assert "would both be 'holiday/cover.png'" in said and "--root FOLDER" in said and "Nothing was posted" in said
    assert image(service, "holiday/cover.png") is None
    service.cli("post", *paths, "--root", str(folder.parent), "--wait")
    assert image(service, f"{folder.name}/2024/holiday/cover.png")["state"] == "there"
    assert service.cli("post", *paths, "--id-from", "hash", "--wait").startswith("posted 2 pictures")


@pytest.mark.parametrize(("posted", "asked"), [("cafe\u0301", "caf\u00e9"), ("caf\u00e9", "cafe\u0301")])
def test_a_name_is_found_under_either_spelling_of_an_accent(service, folder, posted, asked):
    put(folder, f"{posted}.png")
    service.cli("post", str(folder), "--wait", "--tag", "accent")
    image_id = f"{folder.name}/caf\u00e9.png"
    for spelling in (f"{folder.name}/{asked}.png", f"{folder.name}/{posted}.png"):
        assert image(service, spelling)["image_id"] == image_id
        assert service.get(f"/v1/search/id/{spelling}").status_code == 200
        assert image_id not in service.cli("search", "--id", spelling, "--json")
        assert service.get(f"/v1/predict/id/{spelling}").status_code == 200


def test_a_dry_run_sends_nothing(service, folder, tmp_path):
    put(folder, "1.png")
    put(folder, "page.jpg", b"<html>")
    report = tmp_path / "report.jsonl"
    said = service.cli("post", str(folder), "--dry-run", "--tag", "cat", "--report", str(report), code=1)
    assert "page.jpg: no bytes" in service.run("post", str(folder), "--dry-run").stdout and "Traceback" not in said
    assert report_of(report)["1.png"] | {"event_id": "", "sha256": "", "file": ""} == {
        "file": "", "outcome": "would be posted", "reason": "", "image_id": f"{folder.name}/1.png", "sha256": "",
        "tags": ["cat"], "event_id": "",
    }  # fmt: skip
    assert image(service, f"{folder.name}/1.png") is None


@pytest.mark.parametrize(("split", "tags"), [("y", ["cat", "dog"]), ("n", ["cat, dog"])])
def test_a_tag_with_a_comma_is_asked_about(service, folder, split, tags):
    put(folder, "1.png")
    said = service.cli("post", str(folder), "--tag", "cat, dog", code=2)
    assert "'cat, dog'" in said and "--split-commas" in said and "--keep-commas" in said
    ours, theirs = pty.openpty()
    os.write(ours, f"{split}\n".encode())
    with service.beside("post", str(folder), "--tag", "cat, dog", stdin=theirs) as process:
        process.wait(60)
        assert process.returncode == 0
    os.close(ours)
    os.close(theirs)
    wait_for(lambda: (image(service, f"{folder.name}/1.png") or {}).get("tags") == tags, "the tags")


def test_a_folder_is_watched(service, folder):
    put(folder, "1.png")
    with service.beside("post", str(folder), "--watch") as process:
        wait_for(lambda: image(service, f"{folder.name}/1.png"), "the first picture")
        put(folder, "later/2.png")
        wait_for(lambda: image(service, f"{folder.name}/later/2.png"), "what came later")
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert said.splitlines()[0] == "watching; Ctrl-C ends it" and "posted 2 pictures" in said


def test_an_interrupted_run_goes_on(service, folder):
    for number in range(1_500):
        put(folder, f"{number}.png", drawing(number, size=64))
    with service.beside("post", str(folder)) as process:
        wait_for(lambda: any(image(service, f"{folder.name}/{n}.png") for n in (0, 500)), "some pictures", 60, 0)
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=60)
    if process.returncode == 0:  # it was quicker than the signal
        assert said.startswith("posted 1500 pictures")
    else:
        assert process.returncode == 130, complaints
        assert "the same command goes on from here" in complaints and said.startswith("posted ")
    said = service.cli("post", str(folder), "--wait")
    assert "already there" in said
    assert service.cli("post", str(folder)).splitlines()[1:] == ["already there 1500"]


def test_without_a_search_api_everything_is_sent_with_a_word(folder, service):
    put(folder, "1.png")
    environment = clean_environment(
        MEKIKI_DATA_DIR=str(folder / "no-data"), MEKIKI_KAFKA__BOOTSTRAP_SERVERS=service.bootstrap
    )
    done = subprocess.run(
        [sys.executable, "-m", "admin.cli", "post", str(folder)], cwd=ROOT, env=environment, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout[:17]) == (0, "posted 1 pictures")
    assert "no search API to ask what is there already" in done.stderr


def test_the_same_bytes_are_one_picture_where_the_hash_is_the_id(service, folder, tmp_path):
    for name in ("1.png", "2.png"):
        put(folder, name, seed=77_001)
    report = tmp_path / "report.jsonl"
    said = service.cli("post", str(folder), "--id-from", "hash", "--report", str(report))
    assert said.startswith("posted 1 pictures") and "the same bytes as" in said
    rows = report_of(report)
    assert rows["2.png"]["outcome"] == "skipped" and rows["1.png"]["image_id"] == rows["1.png"]["sha256"]


def test_what_is_said_of_a_picture_may_be_more_than_a_record_takes(service, folder):
    put(folder, "1.png", drawing(77_002) + bytes(800_000))
    many = [part for number in range(200) for part in ("--tag", f"{number} {'赤' * 90}")]
    service.cli("post", str(folder), "--wait", *many)
    assert len(image(service, f"{folder.name}/1.png")["tags"]) == 200


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9.jpg"), "a\nb.png", "x" * 300, "[bold].png"])
def test_a_file_that_is_not_there_is_one_sentence_whatever_its_name(service, name):
    said = service.cli("post", name, code=2)
    assert said.startswith("mekiki: ") and "Traceback" not in said
