"""Where reading begins: chosen for every partition, never by silent reset."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaProducer

from models.errors import ConfigurationError, IndexUnavailableError, OffsetLostError
from stream.log.produce import LogWriter
from stream.log.reading.consume import LogReader
from stream.log.reading.positions import MAX_EPOCH, OFFSET_BITS, Start, StoredOffset, position_of, starts
from stream.log.record import Record
from stream.log.topics import TopicDescription, create_topics, describe_topics, full_name


def topic(topic_id="t1", partitions=2, short="images"):
    return {short: TopicDescription(f"mekiki.{short}.v1", topic_id, partitions)}


def stored(offset, partition=0, topic_id="t1", epoch=0, short="images", partitions=0):
    return StoredOffset(short, partition, offset, topic_id, epoch, partitions)


def test_a_log_never_read_begins_at_its_beginning():
    assert starts(topic(), [], new_log_allowed=False) == {
        ("images", 0): Start(None, 0, "t1"), ("images", 1): Start(None, 0, "t1"),
    }  # fmt: skip


def test_goes_on_where_the_state_stands():
    chosen = starts(topic(), [stored(7), stored(9, partition=1)], new_log_allowed=False)
    assert [chosen["images", p].offset for p in range(2)] == [7, 9]


def test_a_partition_that_was_not_read_yet_begins_at_its_beginning():
    chosen = starts(topic(partitions=3), [stored(7, partitions=3), stored(9, 1, partitions=3)], new_log_allowed=False)
    assert chosen["images", 2] == Start(None, 0, "t1")


@pytest.mark.parametrize("found", [1, 3])
def test_a_topic_that_grew_behind_our_back_stops_the_process_with_a_sentence(found):
    with pytest.raises(ConfigurationError, match=f"has {found} partitions, the state knows 2; keys have moved"):
        starts(topic(partitions=found), [stored(7, partitions=2)], new_log_allowed=False)


def test_a_new_log_may_have_another_number_of_partitions():
    chosen = starts(topic("t2", partitions=3), [stored(7, partitions=2)], new_log_allowed=True)
    assert chosen["images", 2] == Start(None, 1, "t2")


def test_a_topic_made_again_stops_the_process_with_a_sentence():
    with pytest.raises(OffsetLostError, match=r"was made again.*t2.*t1.*restore the old topic") as caught:
        starts(topic("t2"), [stored(7)], new_log_allowed=False)
    assert caught.value.exit_code == 78


def test_the_embedded_broker_may_come_back_with_a_new_log():
    chosen = starts(topic("t2"), [stored(7), stored(9, partition=1)], new_log_allowed=True)
    assert chosen == {("images", 0): Start(None, 1, "t2"), ("images", 1): Start(None, 1, "t2")}


def test_a_partition_not_read_since_the_new_log_begins_at_its_beginning():
    state = [stored(7), stored(3, partition=1, topic_id="t2", epoch=1)]
    chosen = starts(topic("t2"), state, new_log_allowed=True)
    assert chosen == {("images", 0): Start(None, 1, "t2"), ("images", 1): Start(3, 1, "t2")}


def test_topics_are_renewed_one_by_one():
    topics = topic("t2") | topic("u1", 1, "operations")
    chosen = starts(topics, [stored(7), stored(5, topic_id="u1", short="operations")], new_log_allowed=True)
    assert chosen["images", 0] == Start(None, 1, "t2")
    assert chosen["operations", 0] == Start(5, 0, "u1")


def test_offsets_of_other_topics_do_not_matter():
    chosen = starts(topic(), [stored(7, topic_id="x", short="clicks")], new_log_allowed=False)
    assert chosen["images", 0] == Start(None, 0, "t1")


def test_epochs_end_before_positions_lose_their_order():
    with pytest.raises(ConfigurationError, match="4096"):
        starts(topic("t2"), [stored(7, epoch=MAX_EPOCH)], new_log_allowed=True)


@given(st.lists(st.integers(0, 5), max_size=6), st.integers(1, 3))
def test_positions_grow_over_restarts_of_the_embedded_broker(reads, partitions):
    """Each life of the broker gives a new topic id; some records are read, their offsets stored."""
    state: dict[int, StoredOffset] = {}
    newest = dict.fromkeys(range(partitions), 0)
    for life, count in enumerate(reads):
        chosen = starts(topic(f"t{life}", partitions), state.values(), new_log_allowed=True)
        for partition in range(partitions):
            start = chosen["images", partition]
            assert start.offset is None
            for offset in range(count):
                position = position_of(start.epoch, offset)
                assert position > newest[partition]
                newest[partition] = position
            if count:
                state[partition] = stored(count, partition, start.topic_id, start.epoch)


@given(st.integers(0, MAX_EPOCH), st.integers(0, 2**OFFSET_BITS - 2))
def test_positions_are_exact_in_float64_and_begin_above_never(epoch, offset):
    position = position_of(epoch, offset)
    assert 0 < position < 2**53
    assert int(float(position)) == position
    assert position_of(epoch, offset + 1) > position


def test_a_record_weighs_its_value_and_some_overhead():
    record = Record("images", 0, 1, 2, 3, b"k", b"x" * 1_000, ())
    assert record.size_bytes == 1_200
    assert Record("images", 0, 1, 2, 3, b"k", None, ()).size_bytes == 200


# ---- pausing, on the embedded broker ------------------------------------------------------------------------------


@pytest.fixture
def one_partition(broker_settings):
    kafka = broker_settings.kafka.model_copy(update={"partitions": 1, "session_timeout_ms": 1_000})
    settings = broker_settings.model_copy(update={"kafka": kafka})
    create_topics(settings)
    return settings


def test_a_topic_that_was_paused_is_read_to_its_end_while_another_went_on(one_partition):
    writer = LogWriter(one_partition, "test")
    for number in range(6_000):
        writer.send("operations", str(number).encode(), b"x" * 100, [])
    for number in range(50):
        writer.send("images", str(number).encode(), b"x" * 10_000, [])
    writer.flush()
    reader = LogReader(one_partition, ("images", "operations"), "test", lambda: ())
    offsets, phases = {"images": [], "operations": []}, []
    try:
        for _ in range(400):  # 50 ms each at most
            for record in reader.poll(0.05):
                offsets[record.topic].append(record.offset)
            if len(offsets["operations"]) >= 2_000 and not phases:
                reader.pause("operations")
                phases.append("paused")
                writer.send("images", b"late", b"x", [])  # what is in line now is no tag
                writer.flush()
            elif phases == ["paused"] and len(offsets["images"]) == 51:
                reader.resume("operations")
                phases.append("resumed")
            if len(offsets["operations"]) == 6_000:
                break
    finally:
        reader.close()
        writer.close()
    assert phases == ["paused", "resumed"]
    assert offsets == {"images": list(range(51)), "operations": list(range(6_000))}


# ---- a rebalance, on the embedded broker --------------------------------------------------------------------------


def test_a_state_that_is_away_in_a_rebalance_is_asked_again(one_partition):
    writer = LogWriter(one_partition, "test")
    for number in range(10):
        writer.send("images", b"k", b"%d" % number, [])
    writer.flush()
    writer.close()
    topic_id = describe_topics(one_partition, ("images",))["images"].topic_id
    asked = []

    def stored_offsets():
        asked.append(len(asked))
        if 1 <= asked[-1] <= 3:
            raise IndexUnavailableError("index: away")
        return [stored(7, topic_id=topic_id)]

    reader = LogReader(one_partition, ("images",), "test", stored_offsets, group_wide=True)
    refused, records = 0, []
    try:
        for _ in range(400):  # 50 ms each at most
            try:
                records += reader.poll(0.05)
            except IndexUnavailableError:
                refused += 1
            if len(records) == 3:
                break
    finally:
        reader.close()
    assert [record.offset for record in records] == [7, 8, 9]
    assert refused == 3


# ---- compression --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_records_may_be_compressed_by_any_codec_of_kafka(one_partition, codec):
    """Also in a batch that is larger than what a decoder gives at once."""
    values = [bytes([n]) * 700_000 for n in range(4)]
    producer = KafkaProducer(
        bootstrap_servers=one_partition.kafka.bootstrap_servers, compression_type=codec, batch_size=3_000_000,
        max_request_size=4_000_000, linger_ms=500,
    )  # fmt: skip
    for value in values:
        producer.send(full_name(one_partition, "images"), value, key=b"k")
    producer.flush(20)
    producer.close(timeout=5)
    reader = LogReader(one_partition, ("images",), "test", lambda: ())
    found = []
    try:
        for _ in range(100):  # 0.2 s each at most
            found += [record.value for record in reader.poll(0.2)]
            if len(found) >= len(values):
                break
    finally:
        reader.close()
    assert found == values
