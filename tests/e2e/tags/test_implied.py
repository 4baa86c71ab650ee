"""Implications through the command line and the API: what a picture carries includes what follows from its tags."""

import json
import os
import pty
import subprocess
import sys

import pytest

from tests.cluster import ROOT, wait_for
from tests.e2e.conftest import clean_environment, drawing

TAGS = (("lion",), ("wolf",), ("lion", "wolf"), ("beast",), ("rock",))
COUNT = 25


@pytest.fixture(scope="module")
def pictures(service, tmp_path_factory):
    """Pictures with five sets of tags, and two implications: a lion is a cat of prey, and that is a beast."""
    folder = tmp_path_factory.mktemp("implied")
    rows = []
    for n in range(COUNT):
        (folder / f"z{n}.png").write_bytes(drawing(1900 + n))
        rows.append({"file": f"z{n}.png", "tags": TAGS[n % len(TAGS)], "image_id": f"z{n}"})
    (folder / "tags.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    service.cli("post", str(folder), "--tags-from", str(folder / "tags.jsonl"))
    wait_for(lambda: show(service, "lion").get("count") == 10, "the tags")
    service.cli("tags", "imply", "lion", "cat of prey")
    service.cli("tags", "imply", "cat of prey", "beast")
    service.cli("tags", "imply", "wolf", "beast")
    return folder


def carrying(*tags):
    return {f"z{n}" for n in range(COUNT) if not set(tags).isdisjoint(TAGS[n % len(TAGS)])}


def show(service, tag):
    return service.get(f"/v1/tags/{tag}").json()


def test_a_filter_on_what_is_implied_finds_what_implies_it(service, pictures):
    page = service.get("/v1/search/id/z4", tags="beast", limit=100, collapse="none").json()
    found = {r["image_id"]: r for r in page["results"]}
    assert found.keys() == carrying("lion", "wolf", "beast")
    assert (found["z0"]["tags"], found["z0"]["implied_tags"]) == (["lion"], ["cat of prey", "beast"])
    assert (found["z3"]["tags"], found["z3"]["implied_tags"]) == (["beast"], [])
    kept = service.get("/v1/images/z2").json()
    assert (kept["tags"], kept["implied_tags"]) == (["lion", "wolf"], ["cat of prey", "beast"])
    assert kept["tags_as_written"] == ["lion", "wolf"]
    listed = service.cli("images", "list", "--with", "cat of prey", COLUMNS="200")
    assert "lion, (cat of prey), (beast)" in listed


def test_counts_are_of_distinct_pictures_that_carry_a_tag(service, pictures):
    counted = {tag: (show(service, tag)["count"], show(service, tag)["tagged"]) for tag in ("beast", "cat of prey")}
    assert counted == {"beast": (20, 5), "cat of prey": (10, 0)}
    listed = {row["name"]: row["count"] for row in service.get("/v1/tags", limit=1000).json()["tags"]}
    assert (listed["beast"], listed["cat of prey"], listed["lion"]) == (20, 10, 10)


def test_a_search_by_tag_shows_what_carries_it_first(service, pictures):
    own = carrying("lion", "wolf", "beast")
    results = service.get("/v1/search/tag", tag="beast", limit=len(own) + 5, collapse="none").json()["results"]
    assert {r["image_id"] for r in results[: len(own)]} == own
    by_probability = service.get("/v1/search/tag", tag="beast", limit=20, order="probability").json()["results"]
    scores = [r["score"] for r in by_probability]
    assert scores == sorted(scores, reverse=True)
    assert service.get("/v1/search/tag", tag="beast", order="whatever").status_code == 422
    said = json.loads(service.cli("search", "--tag", "beast", "--order", "probability", "--limit", "20", "--json"))
    assert [r["image_id"] for r in said["results"]] == [r["image_id"] for r in by_probability]


@pytest.mark.parametrize(("arguments", "way"), [
    (("imply", "beast", "lion"), "beast -> lion -> cat of prey -> beast"),
    (("merge", "beast", "lion", "--into", "thing"), "thing -> cat of prey -> thing"),
    (("alias", "beast", "--of", "lion", "--yes"), "lion -> cat of prey -> lion"),
    (("rename", "beast", "lion"), "lion -> cat of prey -> lion"),
])  # fmt: skip
def test_a_circle_of_implications_is_refused_with_the_way_round(service, pictures, arguments, way):
    said = service.cli("tags", *arguments, code=2)
    assert f"refused, implications {way}: expected no circle" in " ".join(said.split())
    newest = service.get("/v1/operations", limit=1).json()["operations"][0]
    assert (newest["in_force"], way in newest["outcome"]) == (False, True)
    assert show(service, "beast")["count"] == 20


def test_show_says_what_goes_with_a_tag(service, pictures):
    service.cli("tags", "alias", "monster", "--of", "beast")
    shown = json.loads(service.cli("tags", "show", "monster", "--json"))
    assert (shown["name"], shown["aliases"], shown["implies"]) == ("beast", ["monster"], [])
    assert sorted(shown["implied_by"][:2]) == ["cat of prey", "wolf"] and shown["implied_by"][2:] == ["lion"]
    assert show(service, "lion")["implies"] == ["cat of prey", "beast"]
    table = service.cli("tags", "show", "lion")
    assert "cat of prey, beast" in table and "implied by" in table


def test_what_an_alias_would_take_along_is_asked(service, pictures):
    said = " ".join(service.cli("tags", "alias", "wolf", "--of", "lion", code=2).split())
    assert "alias wolf -> lion: wolf is on 10 pictures and implies beast: expected a yes; --yes gives it" in said
    assert show(service, "wolf")["name"] == "wolf"
    assert "go on? [y/N]" in at_a_terminal(service, "n\n", "tags", "alias", "wolf", "--of", "lion")
    assert show(service, "wolf")["name"] == "wolf"
    answered = at_a_terminal(service, "y\n", "tags", "alias", "wolf", "--of", "lion")
    operation_id = next(word for word in answered.split() if word.startswith("alias-")).rstrip(":")
    assert show(service, "wolf")["name"] == "lion"
    service.cli("tags", "undo", operation_id)
    assert show(service, "wolf")["name"] == "wolf"


def at_a_terminal(service, typed, *arguments):
    """What a command says to somebody at a terminal who types this."""
    ours, theirs = pty.openpty()
    environment = clean_environment(MEKIKI_DATA_DIR=str(service.data_dir))
    command = [sys.executable, "-m", "admin.cli", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=theirs, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)  # fmt: skip
    os.write(ours, typed.encode())
    said, _ = process.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    return said


def test_operations_say_when_and_by_whom(service, pictures):
    newest = service.get("/v1/operations", limit=1).json()["operations"][0]
    assert newest["by"] == "mekiki/cli"
    assert newest["time"] >= "2026" and newest["time"].endswith("+00:00")
    history = service.cli("tags", "history", "--limit", "1", COLUMNS="200")
    assert "mekiki/cli" in history and newest["time"][:19] in history


def test_an_implication_taken_back_leaves_no_trace(service, pictures):
    row = next(row for row in service.get("/v1/operations", limit=100).json()["operations"]
               if (row["kind"], row["tags"], row["in_force"]) == ("imply", ["cat of prey"], True))  # fmt: skip
    service.cli("tags", "undo", row["operation_id"])
    assert (show(service, "beast")["count"], show(service, "cat of prey")["count"]) == (15, 10)
    assert service.get("/v1/images/z0").json()["implied_tags"] == ["cat of prey"]
