"""The ingest worker over a log in memory and a real index: what comes out of events, good and bad."""

import base64
import http.server
import importlib
import re
import threading
from dataclasses import replace

import numpy as np
import pytest

from models.errors import CircuitBreakerError
from models.quantise import dequantise, quantise
from models.tagging.examples import TagOperation
from stream.events.schema import ImagePosted, TagOperationPosted
from stream.ingest.batch import FIRST_IMAGES
from stream.log.dead_letter import TEXT
from stream.log.reading.positions import position_of
from tests.fakes import FakeDecoder, FakeEncoder, encode_structured, make_record
from tests.unit.stream.ingest.rig import Rig, post, tag


def test_an_event_becomes_an_image_an_example_and_an_offset(rig):
    rig.log.post(post("a", b"pic1"), tag("a", "cat"), post("b", b"pic2", tags=("dog",)))
    rig.run()
    assert rig.offsets() == {("images", 0): 3}
    assert rig.log.committed == rig.offsets()
    assert [(one.image_id, one.added) for _, one in rig.examples()] == [("a", ("cat",)), ("b", ("dog",))]
    stored = rig.index.real.fetch(["a", "b"], with_vectors=True, with_raw=True)
    for found in stored.values():  # a tag came after the picture of one of them
        raw = np.frombuffer(base64.b64decode(found.payload.raw), np.uint8)[None]
        assert np.array_equal(dequantise(quantise(FakeEncoder().project(raw)))[0], found.vector)
    assert {i: found.payload.tags for i, found in stored.items()} == {"a": ("cat",), "b": ("dog",)}
    assert rig.pictures.get(stored["a"].payload.stored) == b"pic1"


def test_a_batch_that_was_left_out_moves_the_offset_and_nothing_else(rig):
    rig.log.post(post("a", b"pic1"))
    rig.log.append(replace(make_record(post("never"), offset=1), key=None, value=None, headers=(), lost=True))
    rig.run()
    assert rig.offsets() == rig.log.committed == {("images", 0): 2}
    assert (rig.index.real.count(), rig.dead()) == (1, [])


def merge(*tags, into="cat", operation_id="s"):
    return TagOperationPosted(operation_id=operation_id, kind="merge", tags=tags, into=into)


def test_an_operation_on_tags_goes_to_the_learner_in_its_place_and_touches_no_image(rig):
    rig.log.post(post("a", tags=("kitty",)), tag("a", "tom"), merge("Kitty", "tom", into="Cat"), merge("x", into="y"))
    rig.run()
    learned = dict(rig.examples())
    done = learned["operations", 0, position_of(0, 0)]
    assert done == TagOperation("s", "merge", ("kitty", "tom"), "cat", by="/test", time_ms=1_003)
    assert learned["operations", 0, position_of(0, 1)].tags == ("x",)
    assert rig.index.real.fetch(["a"])["a"].payload.tags == ("kitty", "tom")
    assert rig.offsets() == {("images", 0): 2, ("operations", 0): 2}


def in_structured_mode(event):
    key, value, headers = encode_structured(event, source="/test")
    return replace(make_record(event), key=key, value=value, headers=tuple(headers))


def test_an_operation_on_tags_may_come_in_structured_mode(rig):
    rig.log.append(in_structured_mode(merge("kitty")))
    rig.run()
    assert [one.tags for _, one in rig.examples()] == [("kitty",)]


@pytest.mark.parametrize(("record", "reason"), [
    (make_record(merge("x" * 101)), "bad_tag"),
    (make_record(merge("cat", into="\0")), "bad_tag"),
    (replace(make_record(merge("cat")), topic="images"), "wrong_topic"),
    (replace(make_record(merge("cat")), value=b'{"operation_id": "s", "kind": "merge"}'), "bad_event"),
])  # fmt: skip
def test_an_operation_that_cannot_be_is_a_dead_letter_and_nothing_else(rig, record, reason):
    rig.log.append(record)
    rig.run()
    assert rig.dead() == [(f"{record.topic}.dlq", record.key, reason)]
    assert rig.examples() == []


def test_poison_goes_to_the_dead_letters_once_and_the_stream_goes_on(rig):
    rig.log.post(post("a", b"pic1"), post("bad", b"nothing"), tag("ghost", "x"), post("b", b"pic2"))
    rig.run()
    assert rig.dead() == [("images.dlq", b"bad", "not_an_image")]
    assert {i: found.kind for i, found in rig.index.real.fetch(["a", "bad", "ghost", "b"]).items()} == {
        "a": "image", "ghost": "waiting", "b": "image",
    }  # fmt: skip
    assert rig.offsets() == {("images", 0): 4}


def test_a_picture_that_makes_the_network_overflow_takes_no_other_along(rig, monkeypatch):
    def overflowing(encoder, raw):
        vectors = project(encoder, raw)
        vectors[np.ascontiguousarray(raw).view("<i8")[:, 0] == total] = np.nan
        return vectors

    (shown,) = FakeDecoder().decode_many([b"pic!"])
    total, project = int(shown.pixels.astype(int).sum()), FakeEncoder.project
    monkeypatch.setattr(FakeEncoder, "project", overflowing)
    ids = [f"i{n}" for n in range(7)]
    rig.log.post(*(post(i, b"pic!" if i == "i3" else b"pic" + i.encode()) for i in ids))
    rig.run()
    assert set(rig.index.real.fetch(ids)) == set(ids) - {"i3"}
    assert rig.dead() == [("images.dlq", b"i3", "bad_vector")]


def test_what_a_record_makes_our_code_raise_is_that_records_fault(rig, monkeypatch):
    """At each step: reading, decoding, embedding, applying."""
    broken = {"read": "stream.ingest.prepare.decode", "apply": "stream.ingest.write.apply_event"}
    for step, place in broken.items():
        module, _, name = place.rpartition(".")
        real = getattr(importlib.import_module(module), name)

        def fails(*given, real=real, step=step):
            if any(step in str(one) for one in given):
                raise ZeroDivisionError("what nobody thought of")
            return real(*given)

        monkeypatch.setattr(place, fails)
    encode = FakeEncoder.encode

    def embedding(encoder, pixels):
        if (pixels[:, 0, 0, 0] == ord("!")).any():
            raise RuntimeError("CUDA error")
        return encode(encoder, pixels)

    monkeypatch.setattr(FakeEncoder, "encode", embedding)
    rig.log.post(post("a"), post("read"), post("embed", b"pic!"), post("apply", b"pic2"), post("b", b"pic3"))
    rig.run()
    assert {key for key, found in rig.index.real.fetch(["a", "b", "read", "embed", "apply"]).items()} == {"a", "b"}
    assert sorted((key, reason) for _, key, reason in rig.dead()) == [
        (name, "internal") for name in (b"apply", b"embed", b"read")
    ]
    texts = [dict(letter.headers)[TEXT].decode() for letter in rig.writer.to("images.dlq")]
    assert all(re.match(r"(ZeroDivision|Runtime)Error at test_pipeline.py:\d+ \(", text) for text in texts)


def test_too_many_dead_letters_stop_the_worker_with_nothing_written_after(tmp_path):
    rig = Rig(tmp_path, ingest={"breaker_records": 10, "breaker_share": 0.5})
    rig.log.post(*(post(f"bad{n}", b"nothing") for n in range(30)))
    with pytest.raises(CircuitBreakerError):
        rig.run()
    assert rig.offsets() == {("images", 0): FIRST_IMAGES}  # of the batch before, too few to tell
    assert len(rig.dead()) == FIRST_IMAGES


@pytest.mark.parametrize("batch_size", [1, 7])
def test_how_batches_are_cut_changes_nothing(tmp_path, batch_size):
    rig = Rig(tmp_path, encoder={"batch_size": batch_size})
    rig.log.post(*(post(f"i{n}", b"pic" + bytes([n]), tags=("t",)) for n in range(20)))
    rig.run()
    assert [one.image_id for _, one in rig.examples()] == [f"i{n}" for n in range(20)]
    written = [ids for ids, _ in rig.journal.of("index")]
    assert [image_id for ids in written for image_id in ids] == [f"i{n}" for n in range(20)]
    assert max(map(len, written)) == batch_size


def test_a_tag_for_an_image_of_long_ago_finds_it_in_the_index(rig):
    rig.log.post(post("a", tags=("cat",)))
    rig.run()
    rig.log.post(tag("a", "pet"))
    rig.run()  # another process: it has not seen the image
    assert rig.index.real.fetch(["a"])["a"].payload.tags == ("cat", "pet")
    assert [one.added for _, one in rig.examples()] == [("cat",), ("pet",)]


@pytest.fixture
def server():
    """Gives a picture, 500, broken gzip, or nothing at all."""

    asked = []

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(500 if self.path == "/500" else 200)
            if self.path == "/gzip":
                self.send_header("content-encoding", "gzip")
            self.end_headers()
            self.wfile.write(b"pic" + self.path.encode())

        def log_message(self, *_):
            """Say nothing."""

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}", asked
    made.shutdown()
    made.server_close()


def test_a_dataref_that_is_not_given_is_a_dead_letter_and_its_neighbours_go_on(tmp_path, server, monkeypatch):
    monkeypatch.setattr("stream.ingest.prepare.DATAREF_S", 0.3)
    monkeypatch.setattr("stream.ingest.prepare.TRY_AGAIN_S", 0.1)
    url, asked = server
    rig = Rig(tmp_path, ingest={"dataref_hosts": ["127.0.0.1"]})
    bad = {"500": f"{url}/500", "gzip": f"{url}/gzip", "tls": url.replace("http:", "https:") + "/tls"}
    rig.log.post(
        *(ImagePosted(image_id=name, dataref=dataref) for name, dataref in bad.items()),
        *(ImagePosted(image_id=f"good{n}", dataref=f"{url}/{n}") for n in range(20)), post("inline"),
    )  # fmt: skip
    rig.settle()
    assert sorted(rig.dead()) == [("images.dlq", name.encode(), "dataref_unavailable") for name in sorted(bad)]
    assert rig.index.real.count() == 21
    assert 2 <= asked.count("/500") <= 4
    stored = rig.index.real.fetch(["good3"])["good3"].payload
    assert (stored.uri, stored.bytes) == (f"{url}/3", len(b"pic/3"))
