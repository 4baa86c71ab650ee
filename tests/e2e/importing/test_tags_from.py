"""`mekiki post --tags-from`: tags from where people keep them."""

import pytest

from tests.e2e.conftest import drawing
from tests.unit.admin.people.files.test_sidecars import XMP, dataset, iptc, jpeg


@pytest.fixture
def folder(tmp_path):
    """Two folders with pictures of the same names, in a folder of a name of its own."""
    folder = tmp_path / tmp_path.name
    for number, name in enumerate(("a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawing(9_000 + number, ".jpg"))
    return folder


def tags(service, folder, *others):
    names = [*(f"{folder.name}/{name}" for name in ("a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg")), *others]
    known = service.post("/v1/images/known", json={"image_ids": names}).json()["images"]
    return {one["image_id"].removeprefix(f"{folder.name}/"): one["tags"] for one in known if one["tags"]}


def post(service, folder, *options, code=0):
    return service.cli("post", str(folder), *options, *(["--wait"] if code == 0 else []), code=code)


@pytest.mark.parametrize(("name", "text", "found"), [
    (
        "t.jsonl", '{"file":"a/0.jpg","tags":["la0"]}\n{"file":"b/0.jpg","tags":["lb0"]}',
        {"a/0.jpg": ["la0"], "b/0.jpg": ["lb0"]},
    ),
    ("t.jsonl", '\ufeff{"file":"a/0.jpg","tags":["bomtag"]}', {"a/0.jpg": ["bomtag"]}),
    ("t.jsonl", '{"file":"a/0.jpg","tags":["t"],"image_id":7}', {"7": ["t"]}),
    ("t.csv", 'file,tags,title\r\nb/1.jpg,red|blue,One\r\n', {"b/1.jpg": ["red", "blue"]}),
])  # fmt: skip
def test_a_file_of_tags(service, folder, tmp_path, name, text, found):
    (tmp_path / name).write_text(text, encoding="utf-8")
    post(service, folder, "--tags-from", str(tmp_path / name))
    assert tags(service, folder, *(image_id for image_id in found if "/" not in image_id)) == found


@pytest.mark.parametrize(("text", "options", "words"), [
    ('{"file":"0.jpg","tags":["onlyone"]}', (), "line 1: '0.jpg' may be 2 pictures"),
    ('{"file":"x.jpg","tags":["t"]}', (), "no line fits (line 1 'x.jpg')"),
    ('{"file":"a/0.jpg","tags":[]}\n{"file":"x.jpg","tags":[]}', ("--strict",),
     "1 of 2 lines fit no picture, expected all (line 2"),
    ('{"file":"a/0.jpg","tags":["cat, dog"]}', (), "--split-commas"),
])  # fmt: skip
def test_a_file_of_tags_that_cannot_be_meant_so_is_refused(service, folder, tmp_path, text, options, words):
    (tmp_path / "t.jsonl").write_text(text)
    said = post(service, folder, "--tags-from", str(tmp_path / "t.jsonl"), *options, code=2)
    assert words in said and "Nothing was posted" in said
    assert tags(service, folder) == {}


def test_lines_that_fit_nothing_are_said(service, folder, tmp_path):
    (tmp_path / "t.jsonl").write_text('{"file":"a/0.jpg","tags":["x"]}\n{"file":"nowhere.jpg","tags":["y"]}')
    done = service.run("post", str(folder), "--tags-from", str(tmp_path / "t.jsonl"))
    assert done.returncode == 0
    assert "1 of 2 lines fit no picture (line 2 'nowhere.jpg')" in done.stderr


def test_tags_of_folders_of_files_beside_and_of_the_pictures_themselves(service, folder):
    (folder / "a/0.jpg.txt").write_text("red panda\nblue")
    (folder / "a/1.txt").write_text("1girl long_hair")
    (folder / "b/0.xmp").write_text(XMP)
    (folder / "b/1.jpg").write_bytes(jpeg(iptc(dataset(2, 25, b"keyword"))))
    options = [part for source in ("folders", "sidecars", "keywords") for part in ("--tags-from", source)]
    post(service, folder, *options)
    assert tags(service, folder) == {
        "a/0.jpg": ["a", "red panda", "blue"], "a/1.jpg": ["a", "1girl", "long hair"],
        "b/0.jpg": ["b", "cat", "赤い & blue"], "b/1.jpg": ["b", "keyword"],
    }  # fmt: skip
    found = service.get(f"/v1/search/id/{folder.name}/a/0.jpg", limit=200, collapse="none").json()["results"]
    shown = next(result for result in found if result["image_id"] == f"{folder.name}/b/0.jpg")
    assert (shown["title"], shown["author"], shown["source_url"]) == ("Cat", "Ada, Bob", "https://example.org/1")
