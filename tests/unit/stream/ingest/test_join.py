"""Images and tags of one partition, merged by timestamp."""

from hypothesis import given
from hypothesis import strategies as st

from stream.ingest.join import Join
from stream.log.positions import position_of
from stream.log.record import Record

GRACE_MS = 100


def record(topic, offset, timestamp_ms, partition=0):
    return Record(topic, partition, offset, position_of(0, offset), timestamp_ms, b"k", b"v", ())


def unknown(tag):
    return False


def log(timestamps, partition=0):
    """Records of both topics with offsets as a broker gives them, from (topic, timestamp) in order of arrival."""
    counts = {"images": 0, "tags": 0}
    records = []
    for topic, timestamp_ms in timestamps:
        records.append(record(topic, counts[topic], timestamp_ms, partition))
        counts[topic] += 1
    return records


arrivals = st.lists(st.tuples(st.sampled_from(["images", "tags"]), st.integers(0, 20)), max_size=25)
# What happens at each step: some records arrive, the clock goes on, the broker is caught up or not.
steps = st.lists(st.tuples(arrivals, st.integers(0, 150), st.booleans()), min_size=1, max_size=5)


def play(steps):
    """Yield (released, added so far, now, caught up) after every step."""
    join, now_ms, added, counts = Join(GRACE_MS), 0, [], {"images": 0, "tags": 0}
    for arriving, pause_ms, caught_up in steps:
        records = []
        for topic, timestamp_ms in arriving:
            records.append(record(topic, counts[topic], timestamp_ms))
            counts[topic] += 1
        join.add(records, now_ms)
        added += records
        now_ms += pause_ms
        yield join.release(now_ms, lambda partition, answer=caught_up: answer, unknown), added, join


@given(steps)
def test_keeps_offset_order_within_a_topic(steps):
    released = [r for out, _, _ in play(steps) for r in out]
    for topic in ("images", "tags"):
        offsets = [r.offset for r in released if r.topic == topic]
        assert offsets == sorted(offsets)


@given(steps)
def test_a_tag_never_overtakes_an_earlier_image_that_was_added(steps):
    released = []
    for out, added, _ in play(steps):
        for item in out:
            if item.topic == "tags":
                before = {r.offset for r in released if r.topic == "images"}
                earlier = {r.offset for r in added if r.topic == "images" and r.timestamp_ms <= item.timestamp_ms}
                assert earlier <= before
            released.append(item)


@given(steps)
def test_loses_nothing_and_invents_nothing(steps):
    released = []
    for out, added, join in play(steps):
        released += out
        assert len(released) + len(join) == len(added)
    rest = join.release(10**9, lambda partition: True, unknown)
    assert sorted(released + rest, key=id) == sorted(added, key=id)
    assert len(join) == 0


@given(steps)
def test_images_never_wait(steps):
    for _, added, join in play(steps):
        assert len(join) <= sum(r.topic == "tags" for r in added)


@given(arrivals, arrivals, st.sets(st.integers(0, 1)))
def test_what_is_dropped_is_gone_and_nothing_else(one, other, dropped):
    join = Join(GRACE_MS)
    records = log(one, 0) + log(other, 1)
    join.add(records, 0)
    join.drop(dropped)
    released = join.release(10**9, lambda partition: True, unknown)
    assert sorted(released, key=id) == sorted((r for r in records if r.partition not in dropped), key=id)


def test_a_tag_waits_until_the_broker_holds_no_more_images_and_the_grace_is_over():
    join = Join(GRACE_MS)
    tag = record("tags", 0, 1_000)
    join.add([tag], 1_000)
    assert join.release(1_000 + GRACE_MS, lambda partition: False, unknown) == []
    assert join.release(1_000 + GRACE_MS - 1, lambda partition: True, unknown) == []
    assert join.release(1_000 + GRACE_MS, lambda partition: True, unknown) == [tag]


def test_a_tag_goes_at_once_when_a_later_image_has_arrived():
    join = Join(GRACE_MS)
    image, tag = record("images", 0, 6), record("tags", 0, 5)
    join.add([tag, image], 0)
    assert join.release(0, lambda partition: False, unknown) == [tag, image]


def test_a_tag_with_the_time_of_its_image_comes_after_it():
    join = Join(GRACE_MS)
    image, tag = record("images", 0, 5), record("tags", 0, 5)
    join.add([tag, image], 0)
    assert join.release(0, lambda partition: False, unknown) == [image, tag]


def test_a_tag_for_an_image_that_never_came_goes_on_when_it_is_old_enough():
    join = Join(GRACE_MS)
    tag = record("tags", 0, 5)
    join.add([tag], 1_000)
    assert join.release(1_000, lambda partition: True, unknown) == [tag]


def test_an_early_image_behind_a_late_one_holds_the_tag_too():
    join = Join(GRACE_MS)
    late, early, tag = record("images", 0, 10), record("images", 1, 5), record("tags", 0, 7)
    join.add([late, early, tag], 0)
    assert join.release(GRACE_MS, lambda partition: True, unknown) == [late, early, tag]


def test_partitions_do_not_wait_for_each_other():
    join = Join(GRACE_MS)
    held, free = record("tags", 0, 5, partition=0), record("tags", 0, 5, partition=1)
    join.add([held, free], 0)
    assert join.release(GRACE_MS, lambda partition: partition == 1, unknown) == [free]


def test_a_tag_for_a_known_image_does_not_wait():
    join = Join(GRACE_MS)
    tag = record("tags", 0, 1_000)
    join.add([tag], 1_000)
    assert join.waiting() == [tag]
    assert join.release(1_000, lambda partition: False, lambda record: record.key == b"k") == [tag]


def test_a_tag_right_behind_its_image_does_not_wait():
    join = Join(GRACE_MS)
    image, tag = record("images", 0, 1_000), record("tags", 0, 1_001)
    join.add([image, tag], 1_001)
    assert join.waiting() == []
    assert join.release(1_001, lambda partition: False, unknown) == [image, tag]


def test_a_clock_that_runs_ahead_holds_a_tag_no_longer_than_the_grace():
    join = Join(GRACE_MS)
    tag = record("tags", 0, 10**9)
    join.add([tag], 1_000)
    assert join.release(1_000 + GRACE_MS - 1, lambda partition: True, unknown) == []
    assert join.release(1_000 + GRACE_MS, lambda partition: True, unknown) == [tag]
