"""Which files are pictures: by their bytes, each once, and the others with a reason."""

import os

import pytest

from admin.people.files.walk import Walk, is_picture
from models.errors import UsageError
from tests.e2e.conftest import drawing

PNG = drawing(1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(path, content=PNG):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def walk(*texts):
    found = Walk()
    found.take(list(texts))
    return [os.fspath(one.path) for one in found.pictures], {str(one.path): one for one in found.passed}


@pytest.mark.parametrize("head", [
    b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x10\0\0\0WEBPVP8 ", b"II*\0", b"MM\0*", b"II+\0",
    b"BM" + bytes(12) + b"\x28\0\0\0", b"\0\0\0\x20ftypavif", b"\0\0\0\x20ftypisom\0\0\0\0mif1heic", b"\xff\x0a",
])  # fmt: skip
def test_a_picture_is_known_by_its_first_bytes(head):
    assert is_picture(head)


@pytest.mark.parametrize("head", [b"", b"BMW is a car maker of some kind", b"RIFF\x10\0\0\0WAVEfmt ", b"%PDF-1.7",
                                  b"\0\0\0\x20ftypisom\0\0\0\0mp42", b"<html>"])  # fmt: skip
def test_other_files_are_none(head):
    assert not is_picture(head)


def test_any_ending_or_none_is_taken_and_the_rest_has_a_reason(folder):
    for name in ("a.jfif", "b.jpe", "c.PnG", "noext", "d/e/f.jpg", "g.dat"):
        put(folder / "in" / name)
    put(folder / "in/notes.md", b"# notes")
    put(folder / "in/empty.jpg", b"")
    put(folder / "in/page.jpg", b"<html>not found</html>")
    put(folder / "in/logo.svg", b"<svg/>")
    os.mkfifo(folder / "in/pipe.jpg")
    pictures, passed = walk("in")
    assert [name[3:] for name in pictures] == ["a.jfif", "b.jpe", "c.PnG", "d/e/f.jpg", "g.dat", "noext"]
    assert {name[3:]: one.failed for name, one in passed.items()} == {
        "notes.md": False, "empty.jpg": True, "page.jpg": True, "logo.svg": True, "pipe.jpg": False,
    }  # fmt: skip
    assert passed["in/logo.svg"].reason == "SVG is a drawing, no picture; export it as PNG"


def test_folders_and_files_that_links_lead_to_are_taken_once(folder):
    put(folder / "in/real/1.png")
    put(folder / "out/2.png")
    (folder / "in/a-link").symlink_to("real")
    (folder / "in/real/up").symlink_to("..")
    (folder / "in/out").symlink_to(folder / "out")
    (folder / "in/0.png").symlink_to("real/1.png")
    (folder / "in/broken.png").symlink_to("nowhere")
    (folder / "in/self.png").symlink_to("self.png")
    pictures, passed = walk("in", "in/real/1.png", "out")
    assert pictures == ["in/out/2.png", "in/real/1.png"]
    assert passed["in/a-link"].reason == "a folder that is taken already under another name"
    assert passed["in/0.png"].reason == "the same file as in/real/1.png"
    assert passed["in/broken.png"].reason == "a link to nothing"
    assert passed["in/self.png"].failed


def test_a_folder_that_cannot_be_read_is_told(folder, monkeypatch):
    put(folder / "in/shut/1.png")
    put(folder / "in/2.png")
    scandir = os.scandir

    def refused(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    pictures, passed = walk("in")
    assert pictures == ["in/2.png"]
    assert passed["in/shut"].failed


def test_names_of_any_bytes(folder):
    names = [
        b"caf\xe9.jpg",
        b"two\nlines.png",
        "ねこ.png".encode(),
        b"IMG [edited].jpg",
        b"100% #1.jpg",
        b"x" * 251 + b".png",
    ]
    for name in names:
        put(folder / "in" / os.fsdecode(name))
    assert sorted(map(os.fsencode, walk("in")[0])) == sorted(b"in/" + name for name in names)
    assert walk("in/IMG [edited].jpg")[0] == ["in/IMG [edited].jpg"]


@pytest.mark.parametrize("text", ["", "nothing", "nothing/*.jpg", "x" * 300, "a\0b"])
def test_what_names_nothing_is_refused(folder, text):
    with pytest.raises(UsageError, match=r"no such file|no path"):
        walk(text)


def test_a_glob_may_name_folders(folder):
    put(folder / "a/holiday/1.png")
    put(folder / "b/holiday/1.png")
    assert walk("*/holiday")[0] == ["a/holiday/1.png", "b/holiday/1.png"]


def test_notes_of_a_mac_are_passed_over(folder):
    put(folder / "in/cat.jpg")
    put(folder / "in/._cat.jpg", b"\0\5\x16\7" + bytes(60))
    pictures, passed = walk("in")
    assert pictures == ["in/cat.jpg"]
    assert not passed["in/._cat.jpg"].failed
