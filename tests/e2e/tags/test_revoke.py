"""One tagger is taken back, through the command line: a dry run, the revoke, its undo."""

import json
import uuid

import pytest
from kafka import KafkaProducer

from tests.cluster import wait_for
from tests.e2e.conftest import Service, drawing, run_cli

COUNT = 12


class Bot:
    """Tags pictures as another program would."""

    def __init__(self, bootstrap):
        self._producer = KafkaProducer(bootstrap_servers=bootstrap)

    def tag(self, image_id, *tags, by):
        headers = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/bots", "type": "mekiki.tags.applied.v1"}
        named = [(f"ce_{name}", value.encode()) for name, value in headers.items()]
        value = json.dumps({"image_id": image_id, "tags": tags, "by": by}).encode()
        named.append(("content-type", b"application/json"))
        self._producer.send("mekiki.images.v1", value, key=image_id.encode(), headers=named).get(10)

    def close(self):
        self._producer.close(timeout=5)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One of its own: everything that a tagger said is counted."""
    running = Service(tmp_path_factory.mktemp("revoking") / "data").start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def bot(service, tmp_path_factory):
    """A bot that tagged twelve pictures and one that is not there; people tagged three of them so too."""
    folder = tmp_path_factory.mktemp("revoke")
    rows = [{"file": f"r{n}.png", "tags": ["stone"], "image_id": f"r{n}"} for n in range(COUNT)]
    for n in range(COUNT):
        (folder / f"r{n}.png").write_bytes(drawing(2900 + n))
    (folder / "tags.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    service.cli("post", str(folder), "--tags-from", str(folder / "tags.jsonl"))
    bot = Bot(service.bootstrap)
    for n in range(COUNT):
        bot.tag(f"r{n}", "junk", "pebble", by="bot-9")
    bot.tag("r-early", "junk", by="bot-9")
    for n in range(3):
        bot.tag(f"r{n}", "pebble", by="ann")
    wait_for(lambda: counts(service) == {"junk": COUNT, "pebble": COUNT, "stone": COUNT}, "the tags")
    wait_for(lambda: "r-early" in {row["image_id"] for row in service.get("/v1/waiting").json()["images"]}, "a wait")
    wait_for(lambda: service.get("/v1/said", by="ann").json()["images"][2:], "what ann said")
    yield bot
    bot.close()


def counts(service):
    return {tag: service.get(f"/v1/tags/{tag}").json().get("count", 0) for tag in ("junk", "pebble", "stone")}


def test_a_dry_run_says_how_much_and_posts_nothing(service, bot):
    before = service.get("/v1/operations").json()["known"]
    said = service.cli("tags", "revoke", "--by", "bot-9", "--dry-run")
    assert said.split() == f"bot-9: {COUNT + 1} pictures, 25 tags, 22 of them said by nobody else".split()
    said = service.cli("tags", "revoke", "--by", "bot-9", "--since", "2099-01-01T00:00:00Z", "--dry-run")
    assert "0 pictures" in said
    assert "nothing was posted" in service.cli("tags", "revoke", "--by", "bot-9", code=2).lower()
    assert service.get("/v1/operations").json()["known"] == before
    assert counts(service)["junk"] == COUNT


def test_a_revoke_takes_everything_back_and_its_undo_gives_it_back(service, bot):
    before = [service.get(f"/v1/images/r{n}").json() for n in range(COUNT)]
    said = service.cli("tags", "revoke", "--by", "bot-9", "--yes")
    revocation = said.partition(":")[0]
    assert f"{COUNT + 1} pictures, 25 tags" in said and f"mekiki tags undo {revocation}" in " ".join(said.split())
    wait_for(lambda: counts(service) == {"junk": 0, "pebble": 3, "stone": COUNT}, "the learner to take it back")
    assert service.get("/v1/images/r0").json()["tags"] == ["stone", "pebble"]
    assert service.get("/v1/images/r5").json()["tags"] == ["stone"]
    row = service.get(f"/v1/operations/{revocation}").json()
    assert (row["kind"], row["said_by"], row["in_force"], row["by"]) == ("revoke", "bot-9", True, "mekiki/cli")
    assert "by bot-9" in service.cli("tags", "history", "--limit", "1", COLUMNS="200")
    assert "0 pictures" in service.cli("tags", "revoke", "--by", "bot-9")
    said = service.cli("tags", "undo", revocation)
    assert f"{revocation}: given back on {COUNT + 1} pictures" in said
    wait_for(lambda: counts(service) == {"junk": COUNT, "pebble": COUNT, "stone": COUNT}, "the learner to learn again")
    after = [service.get(f"/v1/images/r{n}").json() for n in range(COUNT)]
    assert [set(one["tags"]) for one in after] == [set(one["tags"]) for one in before]
    assert service.get(f"/v1/operations/{revocation}").json()["outcome"] == "undone"


def test_what_waited_for_its_picture_is_taken_back_too(service, bot, tmp_path):
    bot.tag("r-late", "wrong", by="bot-10")
    bot.tag("r-late", "right", by="ann")
    wait_for(lambda: "r-late" in {row["image_id"] for row in service.get("/v1/waiting").json()["images"]}, "a wait")
    wait_for(lambda: "1 picture, 1 tag, 1 " in service.cli("tags", "revoke", "--by", "bot-10", "--dry-run"), "both")
    service.cli("tags", "revoke", "--by", "bot-10", "--yes")
    (tmp_path / "late.png").write_bytes(drawing(2999))
    service.cli("post", str(tmp_path / "late.png"), "--id", "r-late")
    wait_for(lambda: service.has("r-late"), "the picture")
    assert service.get("/v1/images/r-late").json()["tags"] == ["right"]


@pytest.mark.parametrize("asked", [
    {"by": "x", "since": "yesterday"}, {"by": "x", "since": "2026-11-21T12:00:00"}, {"by": "x", "since": ""}, {},
    {"by": ""}, {"by": "x", "cursor": "garbage"}, {"by": "x", "limit": 0},
])  # fmt: skip
def test_wrong_questions_are_refused(service, asked):
    assert service.get("/v1/said", **asked).status_code == 422


@pytest.mark.parametrize(("arguments", "words"), [
    (("--by", ""), "revoke: expected said_by"),
    (("--by", "x", "--since", "yesterday"), "since: expected RFC 3339"),
    ((), "--by"),
])  # fmt: skip
def test_wrong_use_is_a_sentence(tmp_path, arguments, words):
    done = run_cli("tags", "revoke", *arguments, MEKIKI_DATA_DIR=str(tmp_path))
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr
