"""Operations on tags through the command line, as a person carries them out and takes them back."""

import json
import uuid

import pytest
from kafka import KafkaProducer

from tests.cluster import wait_for
from tests.e2e.conftest import drawing, run_cli

TAGS = (("tabby",), ("moggy",), ("tabby", "moggy"), ("crane",), ("barrow",), ("spam", "crane"))
COUNT = 24


@pytest.fixture(scope="module")
def pictures(service, tmp_path_factory):
    """Pictures with six sets of tags; the folder they are in."""
    folder = tmp_path_factory.mktemp("operation")
    rows = []
    for n in range(COUNT):
        (folder / f"s{n}.png").write_bytes(drawing(900 + n))
        rows.append({"file": f"s{n}.png", "tags": TAGS[n % len(TAGS)], "image_id": f"s{n}"})
    (folder / "tags.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    service.cli("post", str(folder), "--tags-from", str(folder / "tags.jsonl"))
    wait_for(lambda: count(service, "crane") == 8 and count(service, "tabby") == 8, "the tags")
    return folder


def carrying(*tags):
    return {f"s{n}" for n in range(COUNT) if not set(tags).isdisjoint(TAGS[n % len(TAGS)])}


def count(service, tag):
    """Images that carry a tag, None for one that is not known."""
    return service.get(f"/v1/tags/{tag}").json().get("count")


def operate(service, *arguments):
    """Run `mekiki tags ...`; the id of the operation."""
    said = service.cli("tags", *arguments).strip()
    operation_id, _, outcome = said.partition(": ")
    assert outcome.startswith("done"), said
    return operation_id


def filtered(service, tag):
    """Ids of these pictures that a filter by a tag lets through, and the tags they show."""
    page = service.get("/v1/search/id/s0", tags=tag, limit=100, collapse="none").json()
    found = {r["image_id"]: r["tags"] for r in page["results"] if r["image_id"].startswith("s")}
    own = service.get("/v1/images/s0").json()
    return found | ({"s0": own["tags"]} if tag in own["tags"] else {})


def by_tag(service, tag):
    results = service.get("/v1/search/tag", tag=tag, limit=20).json()["results"]
    return [(r["image_id"], r["score"]) for r in results]


def test_a_merge_is_the_union_under_every_name_and_undo_brings_the_old_counts_back(service, pictures):
    merge = operate(service, "merge", "tabby", "Moggy", "--into", "house cat")
    union = carrying("tabby", "moggy")
    assert merge.startswith("merge-")
    assert [count(service, tag) for tag in ("house cat", "tabby", "moggy")] == [len(union)] * 3
    assert json.loads(service.cli("tags", "show", "tabby", "--json"))["name"] == "house cat"
    assert by_tag(service, "tabby") == by_tag(service, "moggy") == by_tag(service, "house cat")
    for tag in ("tabby", "moggy", "house cat"):
        found = filtered(service, tag)
        assert found.keys() - {"s0"} == union - {"s0"}
        assert all(tags == ["house cat"] for tags in found.values())
    assert service.get("/v1/images/s2").json()["tags_as_written"] == ["tabby", "moggy"]
    operate(service, "undo", merge)
    assert (count(service, "tabby"), count(service, "moggy")) == (8, 8)
    assert filtered(service, "tabby").keys() - {"s0"} == carrying("tabby") - {"s0"}
    assert filtered(service, "tabby")["s2"] == ["tabby", "moggy"]


def test_a_renamed_tag_is_found_under_both_names(service, pictures):
    rename = operate(service, "rename", "barrow", "wheel barrow")
    assert count(service, "barrow") == count(service, "wheel barrow") == 4
    assert set(map(tuple, filtered(service, "barrow").values())) == {("wheel barrow",)}
    operate(service, "undo", rename)
    assert count(service, "barrow") == 4
    assert set(map(tuple, filtered(service, "barrow").values())) == {("barrow",)}


def test_an_alias_counts_before_its_first_use(service, pictures):
    alias = operate(service, "alias", "stork", "heron", "--of", "crane")
    assert count(service, "stork") == count(service, "heron") == 8
    service.cli("tag", "s0", "heron")
    wait_for(lambda: count(service, "crane") == 9, "the alias to count")
    assert "crane" in service.get("/v1/images/s0").json()["tags"]
    service.cli("tag", "s0", "heron", "--remove")
    wait_for(lambda: count(service, "crane") == 8, "the alias to be taken off")
    operate(service, "undo", alias)


def test_a_split_moves_some_pictures(service, pictures, tmp_path):
    ids = tmp_path / "ids.txt"
    ids.write_text("s3\ns9\n\n")
    said = service.cli(
        "tags", "split", "crane", "--into", "crane bird", "--images-from", str(ids), "--image", "s0", "--image", "s5"
    )
    assert said.strip().endswith("done, 3 pictures moved")
    assert (count(service, "crane"), count(service, "crane bird")) == (5, 3)
    assert filtered(service, "crane bird").keys() == {"s3", "s5", "s9"}
    assert filtered(service, "crane").keys() == carrying("crane") - {"s3", "s5", "s9"}
    assert service.get("/v1/images/s5").json()["tags"] == ["spam", "crane bird"]
    operate(service, "undo", said.partition(":")[0])
    assert count(service, "crane") == 8
    assert filtered(service, "crane").keys() == carrying("crane")


def test_a_forgotten_tag_is_gone_until_undo(service, pictures):
    forget = operate(service, "forget", "spam")
    assert service.get("/v1/tags/spam").status_code == 404
    assert service.get("/v1/search/tag", tag="spam").status_code == 404
    assert filtered(service, "spam") == {}
    assert service.get("/v1/images/s5").json()["tags"] == ["crane"]
    operate(service, "undo", forget)
    assert count(service, "spam") == 4
    assert service.get("/v1/images/s5").json()["tags"] == ["spam", "crane"]


def test_an_implied_tag_is_predicted_at_least_as_probably(service, pictures):
    def probabilities():
        said = json.loads(service.cli("predict", str(pictures / "s3.png"), "--json", "--limit", "1000"))
        return {row["tag"]: row["probability"] for row in said["tags"]}

    before = probabilities()
    assert before["crane"] > before["barrow"]
    imply = operate(service, "imply", "crane", "barrow")
    after = probabilities()
    assert after["barrow"] >= after["crane"] > 0
    operate(service, "undo", imply)
    assert probabilities()["barrow"] < after["barrow"]


def test_what_cannot_be_done_is_refused_with_the_reason(service, pictures):
    said = service.cli("tags", "merge", "tabby", "never used before", "--into", "x", code=2)
    assert "refused" in said and "expected tags that were used before" in said and "Traceback" not in said
    said = service.cli("tags", "undo", "no-such-operation", code=2)
    assert "expected one that is in force" in said
    assert count(service, "tabby") == 8


def test_history_lists_operations_newest_first(service, pictures):
    first = operate(service, "imply", "tabby", "moggy")
    second = operate(service, "undo", first)
    listed = json.loads(service.cli("tags", "history", "--json", "--limit", "2"))
    assert [row["operation_id"] for row in listed["operations"]] == [second, first]
    assert [row["outcome"] for row in listed["operations"]] == ["done", "undone"]
    assert listed["known"] > 2
    assert "tabby" in service.cli("tags", "history")
    answer = service.get(f"/v1/operations/{first}").json()
    assert (answer["kind"], answer["tags"], answer["into"], answer["in_force"]) == ("imply", ["tabby"], "moggy", False)
    assert service.get("/v1/operations/nothing").status_code == 404


def test_without_waiting_the_id_is_there_at_once(service, pictures):
    said = service.cli("tags", "imply", "tabby", "moggy", "--no-wait")
    operation_id = said.partition(":")[0]
    wait_for(lambda: service.get(f"/v1/operations/{operation_id}").status_code == 200, "the operation")
    operate(service, "undo", operation_id)


def test_operations_from_a_plain_producer(service, pictures):
    """Structured mode, and one that cannot be: the service shows both where they belong."""
    producer = KafkaProducer(bootstrap_servers=service.bootstrap)

    def post(operation_id, **fields):
        body = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/shop", "type": "mekiki.tags.operation.v1"}
        body["data"] = {"operation_id": operation_id} | fields
        named = [("content-type", b"application/cloudevents+json")]
        producer.send("mekiki.operations.v1", json.dumps(body).encode(), key=b"tag-operation", headers=named).get(10)

    post("shop-1", kind="imply", tags=["tabby"], into="moggy")
    post("shop-2", kind="merge", tags=["tabby"])
    post("shop-3", kind="rename", tags=["tabby"], into="x" * 101)
    producer.close(timeout=5)
    wait_for(lambda: service.get("/v1/operations/shop-1").status_code == 200, "the operation")
    operate(service, "undo", "shop-1")

    def letters():
        return {one["reason"]: one["text"] for one in service.letters() if one["key"] == "tag-operation"}

    reasons = wait_for(lambda: len(letters()) == 2 and letters(), "the dead letters")
    assert "merge: expected one tag or more, and into" in reasons["bad_event"]
    assert "bad_tag" in reasons


@pytest.mark.parametrize(("arguments", "words"), [
    (("merge", "cat", "--into", "CAT"), "expected another tag"),
    (("rename", "cat", "Cat"), "expected another tag"),
    (("imply", "cat", "cat"), "expected another tag"),
    (("forget", "\t"), "tag"),
    (("merge", "cat", "--into", ""), "merge: expected one tag or more, and into"),
    (("split", "cat", "--into", "lynx"), "split: expected one tag, into, and one image or more"),
    (("split", "cat", "--into", "lynx", "--images-from", "no-such-file"), "one image id a line"),
    (("split", "cat", "--into", "lynx", "--image", ""), "images"),
    (("undo", ""), "undo: expected target"),
    (("merge", "cat"), "--into"),
])  # fmt: skip
def test_wrong_use_is_a_sentence(tmp_path, arguments, words):
    done = run_cli("tags", *arguments, MEKIKI_DATA_DIR=str(tmp_path))
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_service_they_say_what_to_do(tmp_path):
    for arguments in (("merge", "a", "--into", "b"), ("history",), ("forget", "a", "--no-wait")):
        done = run_cli("tags", *arguments, MEKIKI_DATA_DIR=str(tmp_path))
        assert done.returncode == 78, done.stderr
        assert "mekiki up" in done.stderr
