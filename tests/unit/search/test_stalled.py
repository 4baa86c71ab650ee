"""Partitions that nobody reads on: said after a minute without progress while records wait, and never otherwise."""

import threading

import pytest

from models.errors import BrokerUnavailableError
from search import stalled
from search.stalled import STALLED_AFTER_S, Stall, StallWatch
from stream.log.reading.consume import LogReader
from stream.log.topics import create_topics
from stream.log.unreadable.unread import Unread, find_unread, look_at
from tests.damaged_log import post_batch, wrong_checksum

WAIT_S = 20.0  # the longest a test waits for a thread; a failure, not a pause


class Log:
    """What is unread at each look, as a test says; `records` are the places where a record is, and can be read."""

    def __init__(self):
        self.unread, self.records, self.away = [], {}, False
        self.looked_at = []

    def find(self):
        if self.away:
            raise BrokerUnavailableError("Kafka: away")
        return self.unread

    def look_at(self, waiting):
        self.looked_at.append([one.place for one in waiting])
        return {one.place: self.records.get(one.place, True) for one in waiting if one.place in self.records}


@pytest.fixture
def clock(monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(stalled.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def watch(log):
    return StallWatch(log.find, log.look_at)


def unread(offset, topic="images", partition=0, records=5):
    return Unread(topic, partition, offset, records)


def look(watch, clock, seconds, step=10.0):
    """Looks every ten seconds."""
    for _ in range(int(seconds / step)):
        clock[0] += step
        watch.turn()


def test_a_partition_without_progress_is_said_after_a_minute_and_for_how_long(watch, log, clock):
    log.unread, log.records = [unread(7), unread(3, "clicks")], {("images", 0): True, ("clicks", 0): False}
    watch.turn()
    look(watch, clock, STALLED_AFTER_S - 10)
    assert watch.stalls == ()
    look(watch, clock, 20)
    assert set(watch.stalls) == {Stall("images", 0, 7, 5, 70.0, True), Stall("clicks", 0, 3, 5, 70.0, False)}
    said = {stall.topic: str(stall) for stall in watch.stalls}
    assert said["images"] == (
        "images 0: nothing read for 70 s, 5 or more records wait at offset 7; see the log of ingest"
    )
    assert said["clicks"].endswith("the batch at offset 3 cannot be read, `mekiki dlq skip clicks 0 3` goes past it")


def test_examples_are_never_to_be_skipped(watch, log, clock):
    log.unread, log.records = [unread(7, "examples")], {("examples", 0): False}
    look(watch, clock, 80)
    assert "dlq skip" not in str(watch.stalls[0])
    assert str(watch.stalls[0]).endswith("the batch at offset 7 cannot be read, see the log of tags")


def test_progress_however_slow_is_no_stall(watch, log, clock):
    log.records = {("images", 0): True}
    for offset in range(20):
        log.unread = [unread(offset, records=1_000)]
        look(watch, clock, 50)
        assert watch.stalls == ()


def test_an_idle_partition_begins_its_minute_with_the_first_unread_record(watch, log, clock):
    look(watch, clock, 600)
    log.unread, log.records = [unread(7)], {("images", 0): True}
    look(watch, clock, STALLED_AFTER_S)
    assert watch.stalls == ()
    look(watch, clock, 10)
    assert [stall.seconds for stall in watch.stalls] == [60.0]
    log.unread = []
    look(watch, clock, 10)
    assert watch.stalls == ()


def test_a_broker_that_is_away_is_no_stall_and_the_clocks_begin_again(watch, log, clock):
    log.unread, log.records = [unread(7)], {("images", 0): True}
    look(watch, clock, 80)
    assert watch.stalls
    log.away = True
    look(watch, clock, 600)
    assert watch.stalls == ()
    log.away = False
    look(watch, clock, STALLED_AFTER_S)
    assert watch.stalls == ()
    look(watch, clock, 10)
    assert len(watch.stalls) == 1


def test_where_there_is_no_record_nothing_stalls_and_the_look_comes_back_a_minute_later(watch, log, clock):
    log.unread = [unread(7, records=1)]  # the mark of a transaction
    look(watch, clock, 600)
    assert watch.stalls == ()
    assert 7 <= len(log.looked_at) <= 10


def test_few_partitions_are_looked_at_in_one_turn(watch, log, clock):
    log.unread = [unread(7, partition=p) for p in range(1_000)]
    log.records = dict.fromkeys((one.place for one in log.unread), True)
    look(watch, clock, 80)
    assert all(len(places) == stalled.LOOKED_AT for places in log.looked_at)
    assert len(watch.stalls) == stalled.LOOKED_AT


def test_the_thread_survives_whatever_a_look_raises_and_ends_when_asked():
    looks, done = [], threading.Event()

    def find():
        looks.append(1)
        if len(looks) == 3:
            done.set()
        raise RuntimeError("what nobody thought of")

    watch = StallWatch(find, lambda _: {}, every_s=0.001)
    watch.start()
    assert done.wait(WAIT_S)
    watch.stop()
    watch.join(WAIT_S)
    assert not watch.is_alive()


# ---- on the embedded broker ---------------------------------------------------------------------------------------


@pytest.fixture
def settings(broker_settings):
    create_topics(broker_settings)
    return broker_settings


def test_nothing_is_unread_in_an_empty_log(settings):
    assert find_unread(settings) == []


def test_what_was_committed_is_compared_with_the_log(settings):
    post_batch(settings, "images", [b"a", b"b", b"c"])
    bad = post_batch(settings, "images", [b"d"], wrong_checksum)
    post_batch(settings, "images", [b"e"], partition=1)
    post_batch(settings, "clicks", [b"f"])
    found = {one.place: one.offset for one in find_unread(settings)}
    assert found == {("images", 0): 0, ("images", 1): 0, ("clicks", 0): 0}
    reader = LogReader(settings, ("images",), "ingest", tuple)
    try:
        reader.commit_offsets([reader.stored_offset("images", p, bad if p == 0 else 1) for p in (0, 1)], wait=True)
    finally:
        reader.close()
    waiting = find_unread(settings)
    assert {one.place: one.offset for one in waiting} == {("images", 0): bad, ("clicks", 0): 0}
    assert look_at(settings, waiting) == {("images", 0): False, ("clicks", 0): True}
    assert look_at(settings, [Unread("images", 1, 1, 1)]) == {}
