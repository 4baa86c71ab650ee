"""Two ingest workers over one log and one index: partitions change hands while batches are in flight."""

import random
import threading

import pytest

from tests.fake_stores import FakeIndex
from tests.unit.stream.ingest.rig import Rig, delete, post, tag, wait_for


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path, partitions=2, encoder={"batch_size": 1})


def keys(rig, partition, count):
    """Image ids that go to one partition."""
    return [f"i{n}" for n in range(100) if rig.log.partition_of(f"i{n}") == partition][:count]


def two(rig, **second):
    return rig.worker(group_wide=True), rig.worker(group_wide=True, **second)


def share(rig, one, other, ones, others):
    rig.log.rebalance({one.reader: ones, other.reader: others})


def end(*workers):
    for worker in workers:
        worker.pipeline.stopping.stop()
    for worker in workers:
        worker.join()
        assert worker.failure is None


def wait_polls(*workers):
    """Wait until each worker has looked at the log a few times."""
    polls = [worker.reader.polls for worker in workers]
    wait_for(lambda: all(worker.reader.polls > before + 5 for worker, before in zip(workers, polls, strict=True)))


def test_what_is_in_flight_is_finished_first_and_the_next_owner_repeats_nothing(rig):
    one, other = two(rig)
    share(rig, one, other, {0, 1}, set())
    rig.log.post(*(post(i, tags=("t",)) for p in (0, 1) for i in keys(rig, p, 10)))
    rig.index.gate.clear()
    one.start()
    other.start()
    wait_for(rig.index.waiting.is_set)
    share(rig, one, other, {0}, {1})
    wait_for(one.reader.revoking.is_set)
    wait_polls(other)
    assert other.reader.assigned == set(), "the partition went on before its batches were written"
    rig.index.gate.set()
    wait_for(rig.is_done)
    end(one, other)
    sources = [source for source, _ in rig.examples()]
    assert len(sources) == len(set(sources)) == 20
    assert other.reader.position("images", 1) == 10
    assert rig.log.committed == rig.offsets()


def test_what_was_read_and_not_begun_is_left_to_the_next_owner(rig):
    """A picture that cannot be is a dead letter of whoever takes it, so it shows whether both did."""
    one, other = two(rig)
    share(rig, one, other, {0, 1}, set())
    rig.log.post(*(post(i, b"nothing") for p in (0, 1) for i in keys(rig, p, 20)))
    rig.index.gate.clear()
    other.start()
    one.start().wait_stalled()
    share(rig, one, other, {0}, {1})
    wait_for(one.reader.revoking.is_set)
    rig.index.gate.set()
    wait_for(rig.is_done)
    wait_polls(one, other)
    end(one, other)
    assert len(rig.dead()) == len(set(rig.dead())) == 40


def test_a_write_of_the_owner_before_that_comes_late_changes_nothing(rig, monkeypatch):
    """It could not finish in time: the next owner has done it again, and more."""
    monkeypatch.setattr("stream.ingest.pipeline.HAND_OVER_S", 0.01)
    slow = FakeIndex(rig.journal, rig.index)
    one, other = two(rig, index=slow)
    (first, second) = keys(rig, 0, 2)
    rig.log.post(post(first, b"pic1", tags=("cat",)))
    slow.gate.clear()
    share(rig, other, one, {0, 1}, set())
    one.start()
    other.start()
    wait_for(slow.waiting.is_set)
    rig.log.post(tag(first, "pet"), post(second, b"pic2"), post(first, b"pic3"), delete(second))
    share(rig, other, one, set(), {0, 1})
    wait_for(rig.is_done)
    expected = rig.outcome()
    committed = dict(rig.log.committed)
    slow.gate.set()
    end(one, other)
    assert rig.journal.of("index")[-1][0] == [first]  # the late write did come, and last
    assert rig.outcome() == expected
    assert rig.log.committed == committed | rig.offsets()
    assert rig.index.real.fetch([first])[first].payload.tags == ("cat", "pet")


def test_a_partition_that_comes_back_is_seen_as_another_left_it(rig):
    one, other = two(rig)
    (image_id,) = keys(rig, 0, 1)
    one.start()
    other.start()
    for owner, tags in ((0, ("a",)), (1, ("b",)), (0, ("c",))):
        share(rig, *((one, other) if owner == 0 else (other, one)), {0, 1}, set())
        rig.log.post(*([post(image_id)] if tags == ("a",) else []), tag(image_id, *tags))
        wait_for(rig.is_done)
    end(one, other)
    assert rig.index.real.fetch([image_id])[image_id].payload.tags == ("a", "b", "c")
    assert [one.added for _, one in rig.examples()] == [("a",), ("b",), ("c",)]


class GatedIndex(FakeIndex):
    """Writes of some images wait, each at a gate of its own."""

    def __init__(self, *given, gates):
        super().__init__(*given)
        self.gates = gates

    def write(self, records, offsets):
        for record in records:
            if record.image_id in self.gates:
                self.gates[record.image_id].wait()
        super().write(records, offsets)


def test_what_is_finished_while_partitions_are_given_up_is_not_remembered_when_they_come_back(rig):
    """Fenced off in between, a worker is not asked once more to give up what another had and changed meanwhile."""
    before, image_id, after = keys(rig, 0, 3)
    gates = {name: threading.Event() for name in (before, after)}
    other, one = two(rig, index=GatedIndex(rig.journal, rig.index, gates=gates))
    rig.log.post(post(before), post(image_id, tags=("a",)), post(after))
    share(rig, one, other, {0, 1}, set())
    one.start()
    other.start()
    wait_for(lambda: one.pipeline.in_flight == 3)
    share(rig, one, other, set(), {0, 1})
    wait_for(one.reader.revoking.is_set)
    gates[before].set()
    wait_for(lambda: rig.offsets() == {("images", 0): 2})
    rig.log.rebalance({other.reader: {0, 1}})
    rig.log.post(tag(image_id, "b"))
    wait_for(rig.is_done)
    share(rig, one, other, {0, 1}, set())
    gates[after].set()
    wait_for(lambda: one.reader.assigned)
    rig.log.post(tag(image_id, "c"))
    wait_for(rig.is_done)
    end(one, other)
    assert rig.index.real.fetch([image_id])[image_id].payload.tags == ("a", "b", "c")


def test_a_tag_that_waits_for_its_image_is_applied_once_by_the_next_owner(rig):
    one, other = two(rig)
    (image_id,) = keys(rig, 0, 1)
    rig.log.post(tag(image_id, "early"), tag(image_id, "x" * 101))  # the second cannot be
    share(rig, one, other, {0, 1}, set())
    one.start()
    other.start()
    wait_for(rig.is_done)
    share(rig, one, other, {1}, {0})
    rig.log.post(post(image_id))
    wait_for(rig.is_done)
    wait_polls(one, other)
    end(one, other)
    assert [example.added for _, example in rig.examples()] == [("early",)]
    assert [reason for *_, reason in rig.dead()] == ["bad_tag"]


def test_an_index_that_is_away_when_partitions_come_is_waited_for(rig):
    one, other = two(rig)
    rig.log.post(*(post(i) for p in (0, 1) for i in keys(rig, p, 3)))
    rig.index.away = 5
    share(rig, one, other, {0}, {1})
    one.start()
    other.start()
    wait_for(lambda: rig.index.away == 0 and rig.is_done())
    end(one, other)
    assert rig.index.real.count() == 6


def events(seed):
    """Posts, posts again, tags and deletions of sixty images, in one seeded order."""
    rng = random.Random(seed)
    made = []
    for n in range(60):
        made.append(post(f"i{n}", b"pic%d" % n, tags=("new",) if n % 4 == 0 else ()))
        target = f"i{rng.randrange(max(0, n - 9), n + 1)}"
        made.append(tag(target, f"tag {rng.randrange(9)}"))
        if n % 7 == 6:
            made.append(post(target, b"again%d" % n if n % 2 else b"pic again %d" % n))
        if n % 11 == 10:
            made.append(delete(target))
    return made


@pytest.mark.parametrize("seed", range(3))
def test_however_often_partitions_move_the_outcome_is_that_of_one_worker(tmp_path, seed):
    calm = Rig(tmp_path / "calm", partitions=4, encoder={"batch_size": 2})
    calm.log.post(*events(seed))
    calm.run()
    rig = Rig(tmp_path / "moved", partitions=4, encoder={"batch_size": 2})
    one, other = two(rig)
    rng, made = random.Random(seed), events(seed)
    one.start()
    other.start()
    for start in range(0, len(made), 20):
        ones = {p for p in range(4) if rng.random() < 0.5}
        share(rig, one, other, ones, set(range(4)) - ones)
        rig.log.post(*made[start : start + 20])
        written = len(rig.journal.of("index"))
        wait_for(lambda written=written: len(rig.journal.of("index")) > written + 1 or rig.is_done())
    wait_for(rig.is_done)
    end(one, other)
    assert rig.outcome() == calm.outcome()
