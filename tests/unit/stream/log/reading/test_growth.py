"""Partitions that are added: epochs, what is held back, where keys belong."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from kafka.partitioner.default import DefaultPartitioner

from stream.events.schema import TopicGrown
from stream.log.reading.growth import Growth, grown_by, growth_of, home_of
from stream.log.reading.positions import Start, StoredOffset, starts
from stream.log.topics import TopicDescription
from tests.fakes import make_record


def at(partition, epoch, offset=5):
    return StoredOffset("images", partition, offset, "t1", epoch)


def mark(*sizes, partition=0, offset=7, topic_id="t1"):
    event = TopicGrown(topic_id=topic_id, partitions=sizes)
    return event, replace(make_record(event, partition=partition, offset=offset), topic="images")


def test_a_key_belongs_where_a_producer_of_kafka_puts_it():
    every = set(range(7))
    cluster = SimpleNamespace(
        topics=lambda: {"t"}, partitions_for_topic=lambda _: every, available_partitions_for_topic=lambda _: every
    )
    for number in range(200):
        key = f"image/{number}/猫".encode()
        assert home_of(key, 7) == DefaultPartitioner().partition("t", None, key, b"", b"", cluster)


def test_the_last_that_was_said_of_a_topic_counts():
    records = [mark(2, 4)[1], mark(3, 9, topic_id="t2")[1], mark(2, 4, 8)[1]]
    assert growth_of("t1", records) == (2, 4, 8)
    assert growth_of("t3", records) == ()


def test_a_record_that_only_looks_like_a_mark_is_none():
    forged = make_record(TopicGrown(topic_id="t1", partitions=(2, 4)))
    assert grown_by(forged) is not None
    assert grown_by(SimpleNamespace(headers=forged.headers, key=b"k", value=b"{")) is None
    assert grown_by(SimpleNamespace(headers=(), key=b"k", value=forged.value)) is None


def test_each_partition_begins_in_the_epoch_in_which_it_was_made():
    topic = {"images": TopicDescription("mekiki.images.v1", "t1", 8)}
    chosen = starts(topic, [at(0, 1), at(1, 0)], new_log_allowed=False, grown={"images": (2, 4, 8)})
    begun = [chosen["images", partition] for partition in range(8)]
    assert begun == [Start(5, 1, "t1"), Start(5, 0, "t1"), *[Start(None, 1, "t1")] * 2, *[Start(None, 2, "t1")] * 4]


def test_a_topic_that_is_just_being_made_larger_stops_nobody():
    topic = {"images": TopicDescription("mekiki.images.v1", "t1", 2)}
    assert starts(topic, [at(0, 0)], new_log_allowed=False, grown={"images": (2, 4)})["images", 0] == Start(5, 0, "t1")


def test_a_new_partition_is_held_until_all_old_ones_are_read_to_their_mark():
    growth = Growth((2, 4))
    for partition in range(4):
        growth.place(partition, 0 if partition < 2 else 1, [at(0, 0), at(1, 0)])
    assert growth.held == {2, 3}
    event, record = mark(2, 4)
    assert growth.begins_behind(event, record)
    assert growth.held == {0, 2, 3}
    assert [growth.epoch(0, offset) for offset in (6, 7, 8)] == [0, 0, 1]  # the mark itself is the last of before
    assert growth.release([at(0, 1), at(1, 0)]) == []
    assert sorted(growth.release([at(0, 1), at(1, 1)])) == [0, 2, 3]
    assert growth.held == set()


def test_a_mark_that_comes_twice_or_that_nobody_announced_begins_nothing():
    growth = Growth((2, 4))
    growth.place(0, 0, [])
    assert not growth.begins_behind(*mark(2, 3))
    assert not growth.begins_behind(*mark(2, 4, 8))
    assert growth.begins_behind(*mark(2, 4))
    assert not growth.begins_behind(*mark(2, 4, offset=9))
    assert growth.epoch(0, 10) == 1


def test_a_second_growth_waits_for_the_first():
    """A mark may stand for two at once, where somebody was interrupted between."""
    growth = Growth((1, 2, 3))
    for partition in range(3):
        growth.place(partition, partition, [at(0, 0)])
    assert growth.held == {1, 2}
    assert growth.begins_behind(*mark(1, 2, 3))
    assert growth.release([at(0, 2)]) == [1]
    assert growth.begins_behind(*mark(1, 2, 3, partition=1, offset=0))
    assert growth.release([at(0, 2)]) == []
    assert sorted(growth.release([at(0, 2), at(1, 2)])) == [0, 1, 2]


@pytest.mark.parametrize("epoch", [0, 3])
def test_a_topic_that_never_grew_is_never_held(epoch):
    """The embedded broker raises the epoch with every start."""
    growth = Growth()
    growth.place(0, epoch, [])
    assert growth.held == set()
