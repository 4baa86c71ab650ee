"""The ingest worker with a real index and a log in memory: what is durable before what, and what happens in trouble."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from models.errors import CircuitBreakerError, IndexUnavailableError
from models.tagging.examples import TagOperation
from stream.environment import load_settings
from stream.events.codec import encode_structured
from stream.events.example import decode_example
from stream.events.schema import ImageDeleted, ImagePosted, TagOperationPosted, TagsApplied
from stream.ingest.batcher import FIRST_IMAGES
from stream.ingest.pipeline import Ingest, IngestPipeline
from stream.log.dead_letter import REASON
from stream.log.positions import StoredOffset, position_of
from stream.pictures.dataref import DatarefReader
from stream.pictures.store import PictureFolder
from tests.fakes import FakeDecoder, FakeEncoder, FakeWriter, local_index, make_record


class MemoryLog:
    """A log reader over prepared records; stops the pipeline once everything was applied."""

    def __init__(self, records):
        self.waiting = list(records)
        self.mirrored = []
        self.pipeline = None

    def poll(self, timeout_s, max_records=None):
        taken, self.waiting = self.waiting, []
        if not taken and self.pipeline.idle:
            self.pipeline.stopping.stop()
        return taken

    def caught_up(self, topic, partition):
        return not self.waiting

    def partitions(self, topic):
        return 1

    def stored_offset(self, topic, partition, offset):
        return StoredOffset(topic, partition, offset, "id", 0)

    def commit_offsets(self, offsets, *, wait=False):
        self.mirrored += offsets

    def pause(self, *topics):
        pass

    def resume(self, *topics):
        pass


class WatchedIndex:
    """A real index that notes what the writer had acknowledged at each write, and can be away for a while."""

    def __init__(self, writer, away=0):
        self.real = local_index()
        self.writer = writer
        self.away = away
        self.writes = []

    def __getattr__(self, name):
        return getattr(self.real, name)

    def write(self, records, offsets):
        if self.away:
            self.away -= 1
            raise IndexUnavailableError("away")
        self.writes.append((self.writer.acknowledged, len(self.writer.sent)))
        self.real.write(records, offsets)


def run(tmp_path, events, away=0, batch_size=32, **ingest):
    records, counts = [], {"images": 0, "tags": 0}
    for number, event in enumerate(events):
        records.append(make_record(event, offset=counts[event.topic], timestamp_ms=1_000 + number))
        counts[event.topic] += 1
    return run_records(tmp_path, records, away, ingest=ingest, encoder={"batch_size": batch_size})


def run_records(tmp_path, records, away=0, **sections):
    settings = load_settings({}, data_dir=tmp_path, **sections)
    log, writer = MemoryLog(records), FakeWriter()
    index = WatchedIndex(writer, away)
    pictures = PictureFolder(str(tmp_path / "pictures"))
    parts = Ingest(log, writer, index, FakeEncoder(), FakeDecoder(), pictures, DatarefReader([], [], 1000), settings)
    log.pipeline = pipeline = IngestPipeline(parts)
    failure = []

    def work():
        try:
            pipeline.run()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    return index, writer, log, pictures, failure


def post(image_id, content, **fields):
    return ImagePosted(image_id=image_id, content=content, **fields)


def test_examples_are_acknowledged_before_the_index_and_offsets_come_with_it(tmp_path):
    events = [post("a", b"pic1"), TagsApplied(image_id="a", tags=("cat",)), post("b", b"pic2", tags=("dog",))]
    index, writer, log, _, failure = run(tmp_path, events)
    assert failure == []
    assert all(acknowledged == sent for acknowledged, sent in index.writes)
    assert {(o.topic, o.offset) for o in index.offsets()} == {("images", 2), ("tags", 1)}
    assert {(o.topic, o.offset) for o in log.mirrored} == {("images", 2), ("tags", 1)}
    learned = [decode_example(value) for topic, _, value, _ in writer.sent if topic == "examples"]
    assert {(e.example.image_id, e.example.added) for e in learned} == {("a", ("cat",)), ("b", ("dog",))}
    assert index.fetch(["a"])["a"].payload.tags == ("cat",)


def merge(*tags, into="cat", operation_id="s"):
    return TagOperationPosted(operation_id=operation_id, kind="merge", tags=tags, into=into)


def test_an_operation_on_tags_goes_to_the_learner_in_its_place_and_touches_no_image(tmp_path):
    events = [
        post("a", b"pic1", tags=("kitty",)),
        TagsApplied(image_id="a", tags=("tom",)),
        merge("Kitty", "tom", into="Cat"),
        TagsApplied(image_id="a", tags=("pet",)),
    ]
    index, writer, _, _, failure = run(tmp_path, events)
    assert failure == []
    learned = [decode_example(value) for topic, _, value, _ in writer.sent if topic == "examples"]
    assert learned[2].example == TagOperation("s", "merge", ("kitty", "tom"), "cat")
    assert (learned[2].topic, learned[2].position) == ("tags", position_of(0, 1))
    assert [one.example.added for one in (learned[0], learned[1], learned[3])] == [("kitty",), ("tom",), ("pet",)]
    assert index.fetch(["a"])["a"].payload.tags == ("kitty", "tom", "pet")
    assert {(o.topic, o.offset) for o in index.offsets()} == {("images", 1), ("tags", 3)}


def test_an_operation_on_tags_waits_for_no_image(tmp_path):
    """Its time is ahead of the clock: a tag for an image nobody posted would wait out the grace."""
    record = make_record(merge("kitty"), timestamp_ms=10**15)
    _, writer, _, _, failure = run_records(tmp_path, [record], kafka={"join_grace_ms": 3_600_000})
    assert failure == []
    assert [topic for topic, *_ in writer.sent] == ["examples"]


def in_structured_mode(event):
    key, value, headers = encode_structured(event, source="/test")
    return replace(make_record(event), key=key, value=value, headers=tuple(headers))


def test_an_operation_on_tags_may_come_in_structured_mode(tmp_path):
    _, writer, _, _, _ = run_records(tmp_path, [in_structured_mode(merge("kitty"))])
    assert [decode_example(value).example.tags for _, _, value, _ in writer.sent] == [("kitty",)]


@pytest.mark.parametrize(("record", "reason"), [
    (make_record(merge("x" * 101)), b"bad_tag"),
    (make_record(merge("cat", into="\0")), b"bad_tag"),
    (replace(make_record(merge("cat")), key=b"cat-1"), b"wrong_key"),
    (replace(make_record(merge("cat")), topic="images"), b"wrong_topic"),
    (replace(make_record(merge("cat")), value=b'{"operation_id": "s", "kind": "merge"}'), b"bad_event"),
])  # fmt: skip
def test_an_operation_that_cannot_be_is_a_dead_letter(tmp_path, record, reason):
    _, writer, _, _, failure = run_records(tmp_path, [record])
    assert failure == []
    assert [dict(headers)[REASON] for topic, _, _, headers in writer.sent if topic.endswith(".dlq")] == [reason]
    assert len(writer.sent) == 1


def test_an_index_that_is_away_costs_time_and_nothing_else(tmp_path):
    index, writer, _, _, failure = run(tmp_path, [post("a", b"pic1"), post("b", b"pic2")], away=3)
    assert failure == []
    assert index.count() == 2
    assert not [topic for topic, *_ in writer.sent if topic.endswith(".dlq")]


def test_poison_goes_to_the_dead_letters_once_and_the_stream_goes_on(tmp_path):
    events = [
        post("a", b"pic1"),
        post("bad", b"nothing"),
        TagsApplied(image_id="ghost", tags=("x",)),
        post("b", b"pic2"),
    ]
    index, writer, _, _, failure = run(tmp_path, events)
    assert failure == []
    dead = [(topic, key, dict(headers)[REASON]) for topic, key, _, headers in writer.sent if topic.endswith(".dlq")]
    assert dead == [("images.dlq", b"bad", b"not_an_image"), ("tags.dlq", b"ghost", b"unknown_image")]
    assert index.count() == 2


def test_a_picture_that_makes_the_network_overflow_takes_no_other_along(tmp_path, monkeypatch):
    def overflowing(encoder, pixels):
        vectors = embed(encoder, pixels)
        vectors[pixels[:, 0, 0, 0] == ord("!")] = np.nan
        return vectors

    embed = FakeEncoder.embed
    monkeypatch.setattr(FakeEncoder, "embed", overflowing)
    events = [post(f"i{n}", b"pic!" if n == 3 else b"pic%d" % n) for n in range(7)]
    index, writer, _, _, failure = run(tmp_path, events)
    assert failure == []
    assert set(index.fetch([f"i{n}" for n in range(7)])) == {f"i{n}" for n in range(7) if n != 3}
    dead = [dict(headers)[REASON] for topic, _, _, headers in writer.sent if topic == "images.dlq"]
    assert dead == [b"bad_vector"]


def test_too_many_dead_letters_stop_the_worker_with_nothing_written_after(tmp_path):
    events = [post(f"bad{n}", b"nothing") for n in range(30)]
    index, _, _, _, failure = run(tmp_path, events, breaker_records=10, breaker_share=0.5)
    assert isinstance(failure[0], CircuitBreakerError)
    assert [offset.offset for offset in index.offsets()] == [FIRST_IMAGES]  # of the batch before, too few to tell


def test_deleting_takes_the_bytes_unless_somebody_else_has_the_same(tmp_path):
    twice = [post("a", b"pic1"), post("b", b"pic1"), ImageDeleted(image_id="a")]
    index, _, _, pictures, _ = run(tmp_path, twice)
    sha256 = index.fetch(["b"])["b"].payload.sha256
    assert pictures.get(sha256) == b"pic1"


def test_a_deletion_does_not_take_along_what_was_posted_after_it(tmp_path):
    events = [post("a", b"pic1"), ImageDeleted(image_id="a"), post("b", b"pic1")]
    index, _, _, pictures, _ = run(tmp_path, events)
    assert pictures.get(index.fetch(["b"])["b"].payload.sha256) == b"pic1"
    assert index.count() == 1


def test_a_deleted_picture_is_gone_from_the_disk(tmp_path):
    _, _, _, _, failure = run(tmp_path, [post("a", b"pic1"), ImageDeleted(image_id="a")])
    assert failure == []
    assert [path for path in (tmp_path / "pictures").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("batch_size", [1, 7])
def test_how_batches_are_cut_changes_nothing(tmp_path, batch_size):
    events = [post(f"i{n}", b"pic" + bytes([n]), tags=("t",)) for n in range(20)]
    index, writer, _, _, failure = run(tmp_path, events, batch_size=batch_size)
    assert failure == []
    assert index.count() == 20
    assert len([1 for topic, *_ in writer.sent if topic == "examples"]) == 20
    assert len(index.writes) >= 20 // batch_size
