"""Tags of pictures from JSON lines."""

from pathlib import Path

import pytest

from admin.people.labels import Labels, labels_of, read_labels
from models.errors import UsageError


def test_a_picture_is_found_by_name_or_path(tmp_path):
    file = tmp_path / "tags.jsonl"
    file.write_text(
        '{"file": "cat.jpg", "tags": ["cat"], "image_id": "c", "complete": true}\r\n\n'
        '{"file": "dogs/1.jpg", "tags": ["dog", 2]}\n',
        encoding="utf-8",
    )
    labels = read_labels(file)
    assert labels_of(labels, Path("anywhere/cat.jpg")) == Labels("c", ("cat",), True)
    assert labels_of(labels, Path("dogs/1.jpg")) == Labels(None, ("dog", "2"))
    assert labels_of(labels, Path("other.jpg")) == Labels()


def test_a_line_separator_inside_a_tag_ends_no_line(tmp_path):
    file = tmp_path / "tags.jsonl"
    file.write_text('{"file": "a.png", "tags": ["two\u2028words"]}', encoding="utf-8")
    assert read_labels(file)["a.png"].tags == ("two\u2028words",)


@pytest.mark.parametrize(
    "line", ["{", "7", '["file", "tags"]', '{"file": 1, "tags": []}', '{"file": "a", "tags": "b"}']
)
def test_a_broken_line_is_named(tmp_path, line):
    file = tmp_path / "tags.jsonl"
    file.write_text('{"file": "a.png", "tags": []}\n' + line)
    with pytest.raises(UsageError, match=r"tags.jsonl line 2: expected .*; correct the line"):
        read_labels(file)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none.jsonl: expected a file of JSON lines"):
        read_labels(tmp_path / "none.jsonl")
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        read_labels(binary)
