"""Partitions that wait at a batch: what is asked of a consumer, and when. The consumer and the letters are fakes."""

import logging

import pytest
from kafka import TopicPartition

from models.errors import BrokerUnavailableError
from stream.log.record import Record
from stream.log.topics import TopicDescription
from stream.log.unreadable import partitions
from stream.log.unreadable.batches import UnreadableBatch, UnreadableBatchError
from stream.log.unreadable.partitions import UnreadablePartitions
from stream.log.unreadable.skips import Skip, read_skip, skip_headers

AT = TopicPartition("mekiki.images.v1", 1)
BATCH = UnreadableBatch(AT, 10, 10, 15, "its checksum is wrong")


class Consumer:
    """Raises what is `next`; notes what it is asked."""

    def __init__(self):
        self.next, self.asked = [], []

    def poll(self, timeout_ms):
        answer = self.next.pop(0) if self.next else {}
        if isinstance(answer, Exception):
            raise answer
        return answer

    def highwater(self, at):
        return 100

    def seek(self, at, offset):
        self.asked.append(("seek", at, offset))

    def pause(self, at):
        self.asked.append(("pause", at))

    def resume(self, at):
        self.asked.append(("resume", at))


class Letters:
    """Gives `letters` once; the next `away` polls fail."""

    def __init__(self):
        self.letters, self.away, self.polls, self.closed = [], 0, 0, False

    def poll(self, timeout_s):
        self.polls += 1
        if self.away:
            self.away -= 1
            raise BrokerUnavailableError("Kafka: away")
        found, self.letters = self.letters, []
        return found

    def caught_up(self, topic, partition):
        return True

    def partitions(self, topic):
        return 1

    def close(self):
        self.closed = True


def letter(offset, partition=1, topic_id="t1"):
    headers = tuple(skip_headers(Skip(topic_id, partition, offset), 1, "let it pass"))
    return Record("images.dlq", 0, 0, 1, 0, None, b"", headers)


@pytest.fixture
def clock(monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(partitions.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def parts(clock):
    consumer, letters = Consumer(), Letters()
    described = {"images": TopicDescription("mekiki.images.v1", "t1", 2)}
    unreadable = UnreadablePartitions(consumer, described, lambda topics, group, stored: letters)
    consumer.next.append(UnreadableBatchError(BATCH))
    assert unreadable.poll(0) == {}
    return unreadable, consumer, letters


def test_what_operators_said_is_looked_at_every_two_seconds(parts, clock):
    unreadable, consumer, letters = parts
    assert consumer.asked == [("pause", AT)]
    for _ in range(5):
        unreadable.poll(0)
    assert letters.polls == 1
    letters.letters.append(letter(12))
    clock[0] += partitions.LOOK_EVERY_S
    unreadable.poll(0)
    assert consumer.asked[1:] == [("seek", AT, 15), ("resume", AT)]
    (lost,) = unreadable.take_lost()
    assert (lost.topic, lost.partition, lost.offset, lost.value) == (*AT, 14, None)
    assert unreadable.take_lost() == []
    assert AT not in unreadable
    unreadable.close()
    assert letters.closed


@pytest.mark.parametrize("other", [letter(9), letter(15), letter(12, partition=0), letter(12, topic_id="t0")])
def test_what_is_said_of_another_place_changes_nothing(parts, other):
    unreadable, consumer, letters = parts
    letters.letters.append(other)
    unreadable.poll(0)
    assert consumer.asked == [("pause", AT)]
    assert AT in unreadable


def test_what_was_said_before_counts_for_the_next_batch(parts):
    unreadable, consumer, letters = parts
    letters.letters += [letter(10), letter(20)]
    consumer.next += [UnreadableBatchError(UnreadableBatch(AT, 20, 20, 22, "its checksum is wrong")), {}]
    unreadable.poll(0)
    unreadable.poll(0)
    assert [asked for asked in consumer.asked if asked[0] == "seek"] == [("seek", AT, 15), ("seek", AT, 22)]
    assert [lost.offset for lost in unreadable.take_lost()] == [14, 21]


def test_a_batch_left_out_is_not_lost_where_the_poll_after_it_fails(parts):
    unreadable, consumer, letters = parts
    letters.letters.append(letter(10))
    consumer.next.append(BrokerUnavailableError("Kafka: away"))
    with pytest.raises(BrokerUnavailableError):
        unreadable.poll(0)
    unreadable.poll(0)
    assert [lost.offset for lost in unreadable.take_lost()] == [14]


def test_dead_letters_that_are_away_hold_nobody_up(parts, clock):
    unreadable, consumer, letters = parts
    letters.away = 1
    consumer.next.append({TopicPartition("mekiki.images.v1", 0): ["a record"]})
    assert list(unreadable.poll(0)) == [TopicPartition("mekiki.images.v1", 0)]
    letters.letters.append(letter(10))
    clock[0] += partitions.LOOK_EVERY_S
    unreadable.poll(0)
    assert [lost.offset for lost in unreadable.take_lost()] == [14]


def test_a_batch_is_tried_again_now_and_then_and_said_once(parts, clock, caplog):
    unreadable, consumer, _ = parts
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            clock[0] += partitions.AGAIN_EVERY_S
            consumer.next.append(UnreadableBatchError(BATCH))
            unreadable.poll(0)
    assert consumer.asked == [("pause", AT), *[("resume", AT), ("pause", AT)] * 3]
    assert caplog.text == ""
    consumer.next.append({AT: ["a record"]})
    unreadable.poll(0)
    assert AT not in unreadable


def test_a_partition_that_another_reader_gets_is_forgotten(parts):
    unreadable, consumer, letters = parts
    letters.letters.append(letter(10))
    unreadable.poll(0)
    unreadable.drop([AT])
    assert unreadable.take_lost() == []
    consumer.next.append(UnreadableBatchError(UnreadableBatch(AT, 30, 30, 31, "its checksum is wrong")))
    unreadable.poll(0)
    unreadable.drop([AT])
    assert AT not in unreadable


def test_other_dead_letters_say_nothing():
    assert read_skip(letter(7)) == Skip("t1", 1, 7)
    assert read_skip(Record("images.dlq", 0, 0, 1, 0, None, b"", (("mekiki_dlq_reason", b"bad_tag"),))) is None
