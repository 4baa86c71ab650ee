"""What the service says of its own predictions: running metrics, and which tags reach their thresholds."""

import json

import pytest

from tests.cluster import wait_for
from tests.e2e.conftest import drawing

KINDS = 7


@pytest.fixture(scope="module")
def folder(service, tmp_path_factory):
    """Pictures of seven kinds, each with its tag; so many that the learner has evaluated its predictions.

    It does so in blocks of 64 examples at first; the first block knows no tag to predict.
    """
    folder, rows = tmp_path_factory.mktemp("evaluated"), []
    for n in range(140):
        (folder / f"{n}.png").write_bytes(drawing(1_000 + n % KINDS))
        rows.append({"file": f"{n}.png", "tags": [f"kind {n % KINDS}"]})
    (folder / "tags.jsonl").write_text("\n".join(map(json.dumps, rows)))
    service.cli("post", str(folder), "--tags-from", str(folder / "tags.jsonl"))
    wait_for(lambda: service.get("/v1/tags").json()["quality"]["images"] >= 64, "a block of evaluated images")
    wait_for(lambda: service.get("/v1/tags/kind%206").json().get("count") == 20, "the last tags")
    return folder


def test_the_running_metrics_are_shown_everywhere(service, folder):
    quality = service.get("/v1/tags").json()["quality"]
    assert set(quality) == {"images", "lrap", "p_at_5", "micro_ap", "macro_ap", "ece"}
    assert all(0 <= value <= 1 for name, value in quality.items() if name != "images")
    assert service.get("/v1/status").json()["quality"] == quality
    assert json.loads(service.cli("tags", "list", "--json"))["quality"] == quality
    text = service.cli("tags", "list", "--limit", "1")
    assert f"{quality['images']} images predicted" in " ".join(text.split()) and f"LRAP {quality['lrap']:.3f}" in text
    shown = service.get("/metrics").text.splitlines()
    gauges = dict(line.split() for line in shown if line.startswith("mekiki_tag_quality{"))
    assert float(gauges['mekiki_tag_quality{metric="lrap"}']) == quality["lrap"]
    assert float(gauges['mekiki_tag_quality{metric="images"}']) == quality["images"]


def of_one_version(service, ask):
    """An answer, and the threshold of every tag in the version of the tagger that gave it."""

    def both():
        answer, page = ask(), service.get("/v1/tags", limit=100_000).json()
        thresholds = {row["name"]: row["threshold"] for row in page["tags"]}
        return (answer, thresholds) if answer["tagger_version"] == page["tagger_version"] else None

    return wait_for(both, "two answers of one version")


def rows_of(table):
    """Cells of the table's rows; none of its lines is longer than a terminal of 80 columns."""
    assert max(map(len, table.splitlines())) <= 80
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in table.splitlines() if line[:1] == "│"]


def test_predicted_tags_are_marked_from_their_thresholds_on(service, folder):
    picture = (folder / "3.png").read_bytes()
    found, thresholds = of_one_version(service, lambda: service.post("/v1/predict", picture, limit=1_000).json())
    marks = {row["tag"]: row["above_threshold"] for row in found["tags"]}
    assert marks == {row["tag"]: row["probability"] >= thresholds[row["tag"]] for row in found["tags"]}
    assert marks["kind 3"] and not all(marks.values())
    assert json.loads(service.cli("predict", str(folder / "3.png"), "--json"))["tags"][0]["above_threshold"] is True


def test_results_of_a_search_by_tag_are_marked_and_others_are_not(service, folder):
    ask = {"tag": "kind 3", "limit": 60, "collapse": "none"}
    found, thresholds = of_one_version(service, lambda: service.get("/v1/search/tag", **ask).json())
    marks = [row["above_threshold"] for row in found["results"]]
    assert marks == [row["score"] >= thresholds["kind 3"] for row in found["results"]]
    assert set(marks) == {True, False}
    others = service.get(f"/v1/search/id/{found['results'][0]['image_id']}").json()["results"]
    assert {row["above_threshold"] for row in others} == {None}


def test_tables_mark_them_and_say_what_the_mark_means(service, folder):
    predicted = service.cli("predict", str(folder / "3.png"), "--limit", "1000")
    by_tag = service.cli("search", "--tag", "kind 3", "--limit", "60", "--collapse", "none")
    for table, least in ((predicted, 1), (by_tag, 20)):
        first_cells = [row[0] for row in rows_of(table) if row[0]]
        assert sum(cell.endswith(" *") for cell in first_cells) >= least
        assert not all(cell.endswith(" *") for cell in first_cells)
        assert "* at or above the tag's threshold" in table
    assert "threshold" not in service.cli("search", "--image", str(folder / "3.png"))
