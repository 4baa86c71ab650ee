"""A batch that cannot be read, on the embedded broker: it stops its partition alone, until an operator says go on."""

import logging

import pytest
from kafka.consumer import fetcher
from prometheus_client import REGISTRY

from models.errors import CheckpointError
from stream.log import topics
from stream.log.produce import LogWriter
from stream.log.reading.consume import LogReader
from stream.log.unreadable import partitions
from stream.log.unreadable.batches import UnreadableBatch, read_at
from stream.log.unreadable.skips import Skip, skip_headers
from tests.damaged_log import nonsense, not_compressed, post_batch, shorter_end, wrong_checksum, wrong_end

POLLS = 400  # of 50 ms each at most


@pytest.fixture
def settings(broker_settings):
    topics.create_topics(broker_settings)
    return broker_settings


@pytest.fixture
def reader(settings):
    reader = LogReader(settings, ("images",), "test", lambda: ())
    yield reader
    reader.close()


def read(reader, until):
    """The places of what is read until a condition on them holds, in order."""
    found = []
    for _ in range(POLLS):
        found += [(record.partition, record.offset, record.lost) for record in reader.poll(0.05)]
        if until(found):
            return found
    raise AssertionError(found)


def say_skip(settings, topic, partition, offset):
    topic_id = topics.describe_topics(settings, (topic,))[topic].topic_id
    writer = LogWriter(settings, "test")
    writer.send(f"{topic}.dlq", None, None, skip_headers(Skip(topic_id, partition, offset), offset + 1, "skip"))
    writer.flush()
    writer.close()


def stand_at(settings, partition=0):
    return REGISTRY.get_sample_value("mekiki_unreadable", {"topic": "images", "partition": str(partition)})


@pytest.mark.parametrize(
    ("damage", "codec"),
    [(wrong_checksum, None), (wrong_checksum, "zstd"), (nonsense, None), (not_compressed, "gzip"),
     (not_compressed, "snappy"), (not_compressed, "lz4"), (not_compressed, "zstd")],
)  # fmt: skip
def test_a_batch_that_cannot_be_read_stops_its_partition_alone(settings, reader, caplog, damage, codec):
    post_batch(settings, "images", [b"a", b"b"])
    bad = post_batch(settings, "images", [b"c" * 300, b"d" * 300, b"e" * 300], damage, codec=codec)
    post_batch(settings, "images", [b"f"])
    post_batch(settings, "images", [b"%d" % n for n in range(5)], partition=1)
    with caplog.at_level(logging.ERROR):
        found = read(reader, lambda found: len(found) == 7 and reader.caught_up("images", 0))
        post_batch(settings, "images", [b"late"], partition=1)
        found += read(reader, bool)
    assert sorted(found) == [(0, 0, False), (0, 1, False), *((1, n, False) for n in range(6))]
    said = [record.getMessage() for record in caplog.records if record.name == "stream.log.unreadable.partitions"]
    (sentence,) = said
    assert f"partition 0 offset {bad}: cannot be read" in sentence
    assert f"`mekiki dlq skip images 0 {bad}` goes past the batch" in sentence
    assert reader.caught_up("images", 0)
    assert reader.caught_up("images", 1)


def test_an_operator_lets_a_running_reader_go_past_the_whole_batch_and_every_later_one(settings, reader):
    post_batch(settings, "images", [b"a"])
    bad = post_batch(settings, "images", [b"b", b"c", b"d"], wrong_checksum)
    post_batch(settings, "images", [b"e"])
    read(reader, lambda found: len(found) == 1 and reader.caught_up("images", 0))
    say_skip(settings, "images", 0, bad + 1)  # any offset in it
    assert read(reader, lambda found: len(found) == 2) == [(0, bad + 2, True), (0, bad + 3, False)]
    again = LogReader(settings, ("images",), "again", lambda: ())
    try:
        expected = [(0, 0, False), (0, bad + 2, True), (0, bad + 3, False)]
        assert read(again, lambda found: len(found) == 3) == expected
    finally:
        again.close()


@pytest.mark.parametrize("damage", [wrong_end, shorter_end])
def test_a_header_that_names_an_end_that_cannot_be_is_not_believed(settings, reader, monkeypatch, damage):
    """The broker would believe it, so it is damaged on its way back."""
    real = fetcher.MemoryRecords

    def damaged(content):
        content = bytearray(content)
        if content[57:61] == b"\0\0\0\2":  # its number of records
            damage(content)
        return real(bytes(content))

    monkeypatch.setattr(fetcher, "MemoryRecords", damaged)
    post_batch(settings, "images", [b"a", b"b"])
    post_batch(settings, "images", [b"c"])
    for offset in (0, 1):
        say_skip(settings, "images", 0, offset)
    assert read(reader, lambda found: len(found) == 3) == [(0, 0, True), (0, 1, True), (0, 2, False)]


def test_a_skip_of_a_topic_that_was_made_again_counts_no_more(settings, reader):
    bad = post_batch(settings, "images", [b"a"], wrong_checksum)
    post_batch(settings, "images", [b"b"], partition=1)
    writer = LogWriter(settings, "test")
    writer.send("images.dlq", None, None, skip_headers(Skip("another-id", 0, bad), 1, "skip"))
    writer.flush()
    writer.close()
    say_skip(settings, "images", 1, bad)
    assert read(reader, bool) == [(1, 0, False)]
    looked = read(reader, lambda found: reader.caught_up("images", 0) and reader.caught_up("images", 1))
    assert looked == []


def test_a_partition_that_waits_is_not_resumed_with_its_topic(settings, reader):
    post_batch(settings, "images", [b"a"], wrong_checksum)
    post_batch(settings, "images", [b"b"], partition=1)
    read(reader, lambda found: found and reader.caught_up("images", 0))
    reader.pause("images")
    reader.resume("images")
    post_batch(settings, "images", [b"c"], partition=1)
    assert read(reader, bool) == [(1, 1, False)]
    assert stand_at(settings) == 1


def test_what_can_be_read_again_goes_on_by_itself(settings, reader, monkeypatch):
    post_batch(settings, "images", [b"a", b"b"], wrong_checksum)
    read(reader, lambda _: reader.caught_up("images", 0))
    assert stand_at(settings) == 1
    monkeypatch.setattr("kafka.record.default_records.DefaultRecordBatch.validate_crc", lambda _: True)
    monkeypatch.setattr(partitions, "AGAIN_EVERY_S", 0.0)
    assert read(reader, lambda found: len(found) == 2) == [(0, 0, False), (0, 1, False)]
    assert stand_at(settings) == 0


def test_training_examples_are_not_left_out(settings):
    post_batch(settings, "examples", [b"a"], wrong_checksum)
    reader = LogReader(settings, ("examples",), "test", lambda: ())
    try:
        with pytest.raises(
            CheckpointError, match=r"partition 0 offset 0: cannot be read .*; restore the topic"
        ) as said:
            read(reader, bool)
        assert said.value.exit_code == 78
    finally:
        reader.close()


@pytest.mark.parametrize("topic", ["models", "images.dlq"])
def test_where_every_record_stands_for_itself_the_batch_is_passed_over(settings, topic):
    post_batch(settings, topic, [b"a", b"b"], wrong_checksum)
    post_batch(settings, topic, [b"c"])
    reader = LogReader(settings, (topic,), "test", lambda: ())
    try:
        assert read(reader, lambda found: len(found) == 2) == [(0, 1, True), (0, 2, False)]
    finally:
        reader.close()


def test_what_stands_at_an_offset(settings):
    post_batch(settings, "images", [b"a", b"b"])
    bad = post_batch(settings, "images", [b"c", b"d"], wrong_checksum)
    at = partitions.TopicPartition(topics.full_name(settings, "images"), 0)

    def look(offset):
        return read_at(settings, {at: offset}).get(at)

    assert [look(offset) for offset in (0, 1, bad + 2, 100)] == [0, 1, None, None]
    assert look(bad) == UnreadableBatch(at, bad, bad, bad + 2, "its checksum is wrong")
    assert look(bad + 1) == UnreadableBatch(at, bad, bad + 1, bad + 2, "its checksum is wrong")


def test_a_dead_letter_may_have_neither_key_nor_value(settings):
    writer = LogWriter(settings, "test")
    writer.send("images.dlq", None, None, [("a", b"b")])
    writer.flush()
    writer.close()
