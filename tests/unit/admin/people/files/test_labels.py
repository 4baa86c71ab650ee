"""Tags of pictures from JSON lines and CSV, and which line is about which picture."""

import json
from pathlib import Path

import pytest

from admin.people.files.fitting import check_used, fit
from admin.people.files.labels import Said, by_file, read_labels
from admin.people.files.walk import Picture
from models.errors import UsageError

PICTURES = [
    (Picture(Path("pics/a/0.jpg"), "a/0.jpg", "pics"), "pics/a/0.jpg"),
    (Picture(Path("pics/b/0.jpg"), "b/0.jpg", "pics"), "pics/b/0.jpg"),
    (Picture(Path("pics/b/cafe\u0301.jpg"), "b/cafe\u0301.jpg", "pics"), "pics/b/café.jpg"),
]


def lines(tmp_path, text, name="tags.jsonl"):
    file = tmp_path / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_labels(file)


def fitted(tmp_path, text, name="tags.jsonl"):
    found = fit(lines(tmp_path, text, name), tmp_path / name, PICTURES)
    return {str(path): said for path, said in found.said.items()}, found.unused


def test_json_lines_say_tags_and_more(tmp_path):
    said = by_file(lines(
        tmp_path,
        '{"file": "cat.jpg", "tags": ["cat"], "image_id": "c", "complete": true, "title": "Cat"}\r\n\n'
        '{"file": "dogs/1.jpg", "tags": ["dog", 2], "metadata": {"n": 1}}\n{"file": "cat.jpg", "tags": ["pet"]}',
    ))  # fmt: skip
    assert said["cat.jpg"] == Said("c", ("cat", "pet"), True, {"title": "Cat"})
    assert said["dogs/1.jpg"] == Said(None, ("dog", "2"), False, {"metadata": {"n": 1}})


def test_json_lines_may_begin_with_a_byte_order_mark(tmp_path):
    (said,) = fitted(tmp_path, '\ufeff{"file": "pics/a/0.jpg", "tags": ["t"]}\n')[0].values()
    assert said.tags == ("t",)


def test_a_line_separator_inside_a_tag_ends_no_line(tmp_path):
    assert by_file(lines(tmp_path, '{"file": "a.png", "tags": ["two\u2028words"]}'))["a.png"].tags == (
        "two\u2028words",
    )


@pytest.mark.parametrize("line", [
    "{", "7", '["file", "tags"]', '{"file": 1, "tags": []}', '{"file": "a", "tags": "b"}', '{"tags": ["a"]}',
    '{"file": "a"}', '{"file": "a", "tags": [], "image_id": true}', '{"file": "a", "tags": [], "complete": 2}',
    "[" * 100_000,
])  # fmt: skip
def test_a_broken_line_is_named(tmp_path, line):
    with pytest.raises(UsageError, match=r"tags.jsonl line 2: expected .*; correct the line"):
        lines(tmp_path, '{"file": "a.png", "tags": []}\n' + line)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none.jsonl: no such file; expected JSON lines"):
        read_labels(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="UTF-8"):
        lines(tmp_path, b"\xff\xfe\x00")


def test_a_csv_says_the_same(tmp_path):
    text = (
        "file_name,tags,complete,title,metadata\r\n"
        'cat.jpg,cat|red panda,yes,"Cat, on a wall","{""n"": 1}"\r\ndog.jpg,"[""dog"", ""a, b""]",,,\r\n'
        'none.jpg,,,,\r\ncomma.jpg,"x, y",no,,\r\n'
    )
    said = by_file(lines(tmp_path, "\ufeff" + text, "tags.csv"))
    assert said["cat.jpg"] == Said(None, ("cat", "red panda"), True, {"title": "Cat, on a wall", "metadata": {"n": 1}})
    assert said["dog.jpg"].tags == ("dog", "a, b")
    assert (said["none.jpg"].tags, said["comma.jpg"].tags) == ((), ("x, y",))


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_a_csv_may_have_other_delimiters_and_no_ending(tmp_path, delimiter):
    (line,) = lines(tmp_path, f"IMAGE_ID{delimiter}Tags\n7{delimiter}cat\n", "tags")
    assert (line.file, line.said) == (None, Said("7", ("cat",)))


@pytest.mark.parametrize(("text", "named"), [
    ("name,tags\na,b\n", "tags.csv: expected a header"), ("", "expected a header"), ("file,file\na,b\n", "a header"),
    ("file,tags\na,b,c\n", "line 2: expected 2 columns"), ("file,tags,complete\na,b,maybe\n", "line 2: expected true"),
    ('file,tags\n"a,b\n', "line 1: expected CSV"), ('file,tags,metadata\na,b,{\n', "line 2"),
])  # fmt: skip
def test_a_broken_csv_is_named(tmp_path, text, named):
    with pytest.raises(UsageError, match=named):
        lines(tmp_path, text, "tags.csv")


@pytest.mark.parametrize(
    "name", ["a/0.jpg", "./a/0.jpg", "pics/a/0.jpg", "a\\0.jpg", str(Path("pics/a/0.jpg").absolute())]
)
def test_a_line_names_a_picture_by_its_path_in_whichever_way(tmp_path, name):
    said, unused = fitted(tmp_path, json.dumps({"file": name, "tags": ["t"]}))
    assert {path: one.tags for path, one in said.items()} == {"pics/a/0.jpg": ("t",)}
    assert not unused


def test_a_line_names_a_picture_by_its_name_if_no_other_has_it_in_either_form(tmp_path):
    said, _ = fitted(tmp_path, '{"file": "caf\u00e9.jpg", "tags": ["t"], "image_id": 7}')
    assert said == {"pics/b/cafe\u0301.jpg": Said("7", ("t",))}
    with pytest.raises(UsageError, match=r"line 1: '0.jpg' may be 2 pictures .*name the path inside the folder"):
        fitted(tmp_path, '{"file": "0.jpg", "tags": ["t"]}')


def test_a_line_that_names_an_id_alone_renames_nothing(tmp_path):
    said, _ = fitted(tmp_path, "image_id,tags\npics/b/0.jpg,t\n", "tags.csv")
    assert said == {"pics/b/0.jpg": Said(None, ("t",))}


def test_lines_that_fit_nothing_are_named(tmp_path):
    text = '{"file": "x.jpg", "tags": []}\n{"file": "a/0.jpg", "tags": []}\n{"file": "y.jpg", "tags": []}'
    found = fit(lines(tmp_path, text), Path("t"), PICTURES)
    assert check_used(found, Path("t"), 3, strict=False) == (
        "t: 2 of 3 lines fit no picture (line 1 'x.jpg', line 3 'y.jpg')"
    )
    with pytest.raises(UsageError, match=r"2 of 3 lines .*line 1 'x.jpg', line 3 'y.jpg'.*Nothing was posted"):
        check_used(found, Path("t"), 3, strict=True)
    none = fit(lines(tmp_path, '{"file": "x.jpg", "tags": []}'), Path("t"), PICTURES)
    with pytest.raises(UsageError, match="t: no line fits"):
        check_used(none, Path("t"), 1, strict=False)
