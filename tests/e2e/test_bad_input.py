"""Hostile and mistaken records: each ends as a dead letter with a reason code, and the stream goes on."""

import json
import struct
import uuid
import zlib

import pytest
from kafka import KafkaProducer

from tests.cluster import wait_for
from tests.e2e.conftest import drawing

POSTED, TAGGED = "mekiki.image.posted.v1", "mekiki.tags.applied.v1"


def gigapixel_png():
    """A PNG whose header promises 1,000,000 x 1,000 pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def headers(kind, **attributes):
    named = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "test", "type": kind} | attributes
    return [(f"ce_{name}", value.encode()) for name, value in named.items()]


def image(image_id, content, **attributes):
    return (
        "images",
        image_id,
        content,
        [*headers(POSTED, subject=image_id, **attributes), ("content-type", b"image/png")],
    )


def tags(image_id, names):
    body = json.dumps({"image_id": image_id, "tags": names}).encode()
    return "images", image_id, body, [*headers(TAGGED), ("content-type", b"application/json")]


CASES = {
    "not an image": (lambda: image("bad-1", b"this is a sentence, not a picture"), "not_an_image"),
    "truncated JPEG": (lambda: image("bad-2", drawing(1, ".jpg")[:-400]), "truncated"),
    "zero bytes": (lambda: image("bad-3", b""), "empty"),
    "gigapixel PNG": (lambda: image("bad-4", gigapixel_png()), "too_many_pixels"),
    "unknown event type": (lambda: ("images", "bad-5", b"{}", headers("mekiki.image.painted.v1")), "unknown_type"),
    "wrong JSON": (lambda: ("images", "bad-6", b'{"image_id": ', headers(TAGGED)), "bad_json"),
    "missing headers": (lambda: ("images", "bad-7", drawing(2), []), "missing_headers"),
    "tag of 10,000 characters": (lambda: tags("good", ["x" * 10_000]), "bad_tag"),
    "tag of control characters": (lambda: tags("good", ["a\u0007\u001b[31mb"]), "bad_tag"),
    "dataref that leaves the folder": (
        lambda: image("bad-11", b"", dataref="file:///etc/../etc/passwd", sha256="0" * 64), "dataref_forbidden"
    ),
    "sha256 that does not match": (lambda: image("bad-12", drawing(3), sha256="0" * 64), "sha256_mismatch"),
    "an event on the wrong topic": (
        lambda: ("operations", "bad-13", b'{"image_id": "bad-13", "tags": ["a"]}', headers(TAGGED)), "wrong_topic"
    ),
    "a key that is not the image id": (
        lambda: ("images", "bad-15", b'{"image_id": "good", "tags": ["a"]}', headers(TAGGED)),
        "wrong_key",
    ),
    "no fields": (lambda: ("images", "bad-14", b"{}", headers(TAGGED)), "bad_event"),
}  # fmt: skip


@pytest.fixture(scope="module")
def letters(service):
    """Post a good picture, everything bad, and another good picture; the dead letters in the end, by key."""
    producer = KafkaProducer(bootstrap_servers=service.bootstrap, max_request_size=2_000_000)

    def send(topic, key, value, named):
        producer.send(f"mekiki.{topic}.v1", value, key=key.encode(), headers=named).get(10)

    send(*image("good", drawing(10)))
    wait_for(lambda: service.has("good"), "the good picture")
    made = {name: make() for name, (make, _) in CASES.items()}
    for record in made.values():
        send(*record)
    send(*image("good-after", drawing(11)))
    wait_for(lambda: service.has("good-after"), "the stream to go on")
    producer.close(timeout=5)
    wanted = {dict(record[3]).get("ce_id") for record in made.values()}
    found = wait_for(lambda: _all(service, len(wanted)), "all dead letters")
    return {letter["text"]: letter for letter in found}, found, made


def _all(service, count):
    found = service.letters()
    return found if len(found) >= count else None


@pytest.mark.parametrize("name", CASES)
def test_ends_as_a_dead_letter_with_its_reason(letters, name):
    _, found, made = letters
    topic, key, value, _ = made[name]
    mine = [
        letter
        for letter in found
        if letter["key"] == key and letter["topic"] == topic and letter["value_bytes"] == len(value)
    ]
    assert [letter["reason"] for letter in mine] == [CASES[name][1]]
    assert mine[0]["text"].strip()


def test_nothing_bad_was_indexed(service, letters):
    assert not any(service.has(f"bad-{n}") for n in range(1, 15))
    assert service.get("/v1/images/good").json()["tags"] == []


def test_a_tag_waits_for_its_image_until_an_operator_gives_up_and_can_be_replayed(service, letters):
    producer = KafkaProducer(bootstrap_servers=service.bootstrap)

    def send(topic, key, value, named):
        producer.send(f"mekiki.{topic}.v1", value, key=key.encode(), headers=named).get(10)

    send(*tags("late [b]1", ["cat"]))
    send(*tags("never", ["cat"]))
    wait_for(lambda: waiting(service) >= {"late [b]1", "never"}, "both to wait")
    assert "late [b]1" in service.cli("dlq", "list", "--waiting")
    assert json.loads(service.cli("status", "--json"))["images_waited_for"] == len(waiting(service))
    send(*image("late [b]1", drawing(12)))
    wait_for(lambda: service.tagged("late [b]1", "cat"), "the tag to join its image")
    service.cli("dlq", "give-up", "never")
    wait_for(lambda: any(one["key"] == "never" for one in service.letters()), "the dead letter")
    letter = next(one for one in service.letters() if one["key"] == "never")
    shown = json.loads(service.cli("dlq", "show", letter["id"], "--json"))
    assert (shown["reason"], json.loads(shown["value"])) == ("unknown_image", {"image_id": "never", "tags": ["cat"]})
    send(*image("never", drawing(13)))
    wait_for(lambda: service.has("never"), "the late picture")
    producer.close(timeout=5)
    service.cli("dlq", "replay", letter["id"])
    wait_for(lambda: service.tagged("never", "cat"), "the replayed tag")
    assert letter["id"] not in [one["id"] for one in service.letters()]
    assert waiting(service).isdisjoint({"late [b]1", "never"})


def waiting(service):
    return {one["image_id"] for one in json.loads(service.cli("dlq", "list", "--waiting", "--json"))}


def test_odd_times_tags_and_codecs_are_taken(service):
    """Times that no calendar has, a tag newer than our tables, a bad tag beside a good one, a compressed record."""
    picture = drawing(40)
    odd = {
        "microseconds": {"timestamp_ms": 1_795_736_266_681_000},
        "before the calendar": {"timestamp_ms": -62_135_596_800_001},
        "zstd": {"codec": "zstd"},
        "new emoji": {"tags": ["good tag", "\U0001fae8"]},
        "long tag": {"tags": ["good tag", "a" * 163]},
    }
    for image_id, how in odd.items():
        producer = KafkaProducer(bootstrap_servers=service.bootstrap, compression_type=how.get("codec"))
        _, key, value, named = image(image_id, picture, tags=json.dumps(how.get("tags", [])))
        sent = producer.send(
            "mekiki.images.v1", value, key=key.encode(), headers=named, timestamp_ms=how.get("timestamp_ms")
        )
        sent.get(10)
        producer.close(timeout=5)
    wait_for(lambda: all(service.has(image_id) for image_id in odd), "all of them")
    assert service.get("/v1/images/new emoji").json()["tags_as_written"] == ["good tag", "\U0001fae8"]
    assert service.get("/v1/images/long tag").json()["tags_as_written"] == ["good tag"]
    assert service.get("/v1/images/microseconds").json()["posted_at"] == ""
    (letter,) = [one for one in service.letters() if one["key"] == "long tag"]
    assert letter["reason"] == "bad_tag"


def test_an_embedded_log_is_made_larger_by_a_setting(service):
    said = service.cli("topics", "grow", "8", code=2)
    assert "set MEKIKI_KAFKA__PARTITIONS=8 and start it again" in said
