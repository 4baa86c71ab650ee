"""Searches by words through the command line."""

import json

from tests.cluster import wait_for
from tests.e2e.conftest import drawing


def test_words_are_understood_and_said(service, tmp_path):
    names = {"words/kitten.png": ["wkitten", "こねこ"], "words/both.png": ["wkitten", "wsnow"], "words/other.png": []}
    for number, (image_id, tags) in enumerate(names.items()):
        said = {"id": image_id, "tags": tags, "title": "Schneeleopard" if not tags else "T", "wait": "searchable"}
        said["metadata"] = [f"place=Ort{number}"]
        assert service.post("/v1/images", content=drawing(9_100 + number), **said).status_code == 201
    wait_for(lambda: service.get("/v1/suggest", q="wsno").json()["suggestions"], "the tags to be learned")

    def found(words, *more):
        page = json.loads(service.cli("search", "--words", words, "--json", *more))
        return [row["image_id"] for row in page["results"]]

    assert found("wkitten wsnow", "--limit", "1") == ["words/both.png"]
    assert "words/both.png" not in found("wkitten -wsnow") and found("wkitten -wsnow")[0] == "words/kitten.png"
    assert found("koneko", "--limit", "1") == ["words/kitten.png"]
    assert found("schneeleopard") == found("ort2") == ["words/other.png"]
    table = service.cli("search", "--words", "koneko wsn schneeleopard wkittne", COLUMNS="80")
    assert table.startswith("koneko: こねこ\nwsn: wsnow\nschneeleopard: a word of titles, authors or metadata\n")
    assert "wkittne: no tag and no word of a title; did you mean wkitten?\n" in table
    assert max(map(len, table.splitlines())) <= 80
    for wrong in (["--words", "-wsnow"], ["--words", '"'], ["--words", "x" * 10_000], ["--words", "a", "--tag", "b"]):
        said = service.cli("search", *wrong, code=2)
        assert said.count("\n") == 1 and "Traceback" not in said
