"""Files that no picture is in, named where one is expected: one sentence, the exit code of a mistake, nothing done."""

import json
import os

import pytest

from tests.e2e.conftest import drawing


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.jpg").write_bytes(b"<html>")
    (folder / "good.png").write_bytes(drawing(9_900))
    (folder / "loop").symlink_to("loop")
    return folder


@pytest.mark.parametrize(("arguments", "words"), [
    (("search", "--image", "empty.jpg"), "empty.jpg: empty"),
    (("search", "--image", "page.jpg"), "expected JPEG"),
    (("search", "--image", "/dev/zero"), "more than 64000000 bytes"),
    (("search", "--image", "loop"), "cannot be read"),
    (("search", "--image", "."), "a folder"),
    (("predict", "empty.jpg"), "empty.jpg: empty"),
    (("post", "good.png", "--tags-from", "/dev/zero"), "more than 200000000 bytes"),
    (("post", "good.png", "--source-url", "ftp://x"), "expected an http or https URL"),
    (("post", "good.png", "--id", "x" * 300), "expected at most 256 characters; shorten it, --id or --id-from"),
    (("images", "list", "--metadata", "iso"), "expected NAME=VALUE"),
    (("search", "--image", "good.png", "--title", "!?"), "expected a word"),
])  # fmt: skip
def test_is_one_sentence(service, files, arguments, words):
    named = [
        str(files / one) if one in ("empty.jpg", "page.jpg", "good.png", "loop", ".") else one for one in arguments
    ]
    done = service.run(*named)
    assert done.returncode in (1, 2)
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_from_a_mac_is_no_failure(service, tmp_path):
    (tmp_path / "cat.png").write_bytes(drawing(9_901))
    (tmp_path / "._cat.png").write_bytes(b"\0\5\x16\7" + bytes(60))
    (tmp_path / ".DS_Store").write_bytes(b"x")
    report = tmp_path.parent / f"{tmp_path.name}.jsonl"
    service.cli("post", str(tmp_path), "--wait", "--report", str(report))
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    outcomes = {os.path.basename(row["file"]): row["outcome"] for row in rows}  # noqa: PTH119
    assert outcomes == {"cat.png": "searchable", "._cat.png": "skipped", ".DS_Store": "skipped"}


def test_tables_fit_a_terminal_whatever_ids_and_titles_are(service, tmp_path):
    content = drawing(9_902)
    for number in range(6):
        name = f"wide/{'long-' * 20}{number}"
        answer = service.post("/v1/images", content=content, id=name, title="wide " * 30, wait="searchable")
        assert answer.status_code == 201
    (tmp_path / "query.png").write_bytes(content)
    for arguments in (("search", "--image", str(tmp_path / "query.png")), ("images", "list"), ("images", "show", name)):
        lines = service.cli(*arguments, COLUMNS="80").splitlines()
        assert max(map(len, lines)) <= 80
    assert "more" in service.cli("search", "--image", str(tmp_path / "query.png"), COLUMNS="80")
