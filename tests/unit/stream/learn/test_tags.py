"""The tags worker over examples in memory: what is learned, each example once, and tags that drift."""

import logging
import random
import threading

import numpy as np
import pytest

from models.quantise import quantise
from models.tagging.examples import Example
from stream.events.schema import TagDrifted, TagsRemoved
from stream.ingest.batch import Batch, Item
from stream.ingest.prepare import Prepare
from stream.ingest.slow_lane import SlowLane
from stream.ingest.write import Write
from tests.fakes import D, Killed, unit
from tests.unit.stream.ingest.rig import Rig, post, tag
from tests.unit.stream.learn.examples import EXAMPLES, Examples, counts, example


@pytest.fixture
def examples(tmp_path):
    return Examples(tmp_path)


def test_what_is_served_is_what_was_learned(examples):
    examples.post(*EXAMPLES, example(1, "pet"), example(3, removed=("cat",)), example(5, deleted=True))
    snapshot = examples.run()
    assert counts(snapshot) == {"cat": 3, "kitty": 5, "pet": 1}
    assert examples.log.committed == {("examples", 0): 13}


def test_the_learner_is_told_the_time_of_the_log(examples):
    examples.post(*EXAMPLES, timestamp_ms=1_800_000_000_000)
    examples.run()
    state = examples.state()
    state.close()
    assert (state.tagger.schedule.begin, state.tagger.schedule.began_ms) == (0, 1_800_000_000_000)


# ---- repeated examples --------------------------------------------------------------------------------------------


def test_an_example_that_ingest_sent_again_is_learned_once(examples):
    examples.post(*EXAMPLES)
    for n in (8, 9):
        examples.send(EXAMPLES[n], n)
    examples.post(example(20, "cat"))
    assert counts(examples.run()) == {"cat": 6, "kitty": 5}


def test_an_example_that_ingest_sent_again_after_a_restart_of_the_learner_is_learned_once(examples):
    """Tags taken off and put on again meanwhile: an old example learned once more would undo that."""
    examples.post(example(1, "cat"), example(1, removed=("cat",)), example(2, "cat"))
    first = examples.run()
    examples.send(example(1, "cat"), 0)
    examples.send(example(2, "cat"), 2)
    second = examples.run()
    assert counts(first) == counts(second) == {"cat": 1}


def test_each_source_partition_has_a_mark_of_its_own(examples):
    examples.send(example(1, "cat"), 100, source=("tags", 0))
    for number, source in enumerate((("tags", 1), ("images", 0), ("images", 1))):
        examples.send(example(number + 2, "dog"), 5, source=source)
    examples.send(example(7, "cat"), 99, source=("tags", 0))  # sent before, as its offset says
    snapshot = examples.run()
    assert counts(snapshot) == {"cat": 1, "dog": 3}


def sent_again(made, seed):
    """What ingest workers write that die now and then: each goes back to where its offset stands, and sends on."""
    rng, at, written = random.Random(seed), 0, []
    while at < len(made):
        count = rng.randint(1, 5)
        written += list(enumerate(made))[at : at + count]
        at += count
        if rng.random() < 0.5:
            at = max(0, at - rng.randint(0, 6))
    return written


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_sent_again_and_whenever_the_learner_restarts_the_sums_are_the_same(tmp_path, seed):
    rng = random.Random(seed)
    made = [example(rng.randrange(12), f"tag {rng.randrange(4)}") for _ in range(40)]
    made[20:20] = [example(n, removed=("tag 1",)) for n in range(6)]
    calm, torn = Examples(tmp_path / "calm"), Examples(tmp_path / "torn")
    calm.post(*made)
    expected = calm.run()
    for number, (offset, one) in enumerate(sent_again(made, seed)):
        torn.send(one, offset)
        if number % 13 == 12:
            torn.run()
    snapshot = torn.run()
    assert counts(snapshot) == counts(expected)
    assert np.array_equal(statistics(torn), statistics(calm))


@pytest.mark.parametrize("losing", [1, 2, 5])
def test_an_example_that_overtook_a_lost_one_waits_for_it(tmp_path, losing):
    """A batch in two requests to the broker, of which the first fails: the batch is sent once more, whole."""
    learned = []
    for lost in (0, losing):
        site, examples = Rig(tmp_path / f"ingest {lost}"), Examples(tmp_path / f"tags {lost}")
        site.log.post(*(post(f"i{n}", b"pic%d" % n, tags=("cat",)) for n in range(6)), tag("i1", "pet"))
        site.log.post(TagsRemoved(image_id="i5", tags=("cat",)), tag("i5", "dog"))
        worker = site.worker()
        site.writer.losing, site.writer.failing = lost, 2 if lost else 0
        worker.drain()
        for sent in site.writer.to("examples"):
            examples.append(sent.value)
        learned.append((counts(examples.run()), statistics(examples).tobytes()))
    assert learned[0] == learned[1]
    assert learned[0][0] == {"cat": 5, "pet": 1, "dog": 1}


def test_an_example_waits_for_a_lost_one_of_its_partition_whatever_others_sent(tmp_path):
    """A batch of two partitions loses its first example; what stands between two of a partition was sent before."""
    site, examples = Rig(tmp_path / "ingest", partitions=2), Examples(tmp_path / "tags")
    lost, other = (next(f"i{n}" for n in range(9) if site.log.partition_of(f"i{n}") == p) for p in (0, 1))
    site.log.post(post(lost, b"pic1", tags=("cat",)), post(other, b"pic2", tags=("dog",)), tag(lost, "pet"))
    (first,), (between,), (last,) = (site.log.read("images", p, at)[:1] for p, at in ((0, 0), (1, 0), (0, 1)))
    site.journal.kill_after = 2  # pictures, examples
    with pytest.raises(Killed):
        write(site.worker().parts, [between])
    site.journal.kill_after = None
    worker = site.worker()
    site.writer.losing, site.writer.failing = 1, 1
    write(worker.parts, [first, between, last])
    for sent in site.writer.to("examples"):
        examples.append(sent.value)
    assert counts(examples.run()) == {"cat": 1, "dog": 1, "pet": 1}


def write(parts, records):
    """One batch of these records, by the steps of an ingest worker."""
    batch, prepare = Batch([Item(record) for record in records], [], 0), Prepare(parts, threading.Event())
    prepare.decode(batch)
    prepare.embed(batch)
    Write(parts, SlowLane(parts, threading.Event()), threading.Event()).apply(batch)


def statistics(examples):
    """The exact sums of the state on disk, tags by name."""
    state = examples.state()
    sums, names = state.tagger.statistics.sums, state.tagger.statistics.vocabulary.names
    rows = [row for _, row in sorted((name, row) for row, name in enumerate(names))]
    found = np.concatenate([sums.gram.ravel(), sums.total.ravel(), *(sums.tags[row].ravel() for row in rows)])
    state.close()
    return found


# ---- drift --------------------------------------------------------------------------------------------------------


def used(centre, tag, seed, count=600):
    """Complete examples of one tag around one vector."""
    points = unit(centre) + 0.15 * np.random.default_rng(seed).standard_normal((count, D)).astype(np.float32)
    vectors = quantise(points / np.linalg.norm(points, axis=1, keepdims=True))
    return [Example(f"{seed}/{i}", vector, (tag,), complete=True) for i, vector in enumerate(vectors)]


def drifting():
    """Masks, dogs and trees; from the middle on dogs are called masks as well."""
    before = zip(used(1, "mask", 1), used(2, "dog", 2), used(4, "tree", 3), strict=True)
    after = zip(used(2, "mask", 4), used(2, "dog", 5), used(4, "tree", 6), strict=True)
    return [example for three in (*before, *after) for example in three]


@pytest.mark.parametrize("failing", [0, 2])
def test_a_tag_that_is_used_otherwise_than_before_is_told_and_shown(examples, caplog, failing):
    examples.post(*drifting())
    worker = examples.worker()
    worker.worker.publish()
    examples.writer.failing = failing  # of the drifts, which are then sent again
    with caplog.at_level(logging.WARNING, "stream.learn.tags"):
        worker.run()
    drifted = [event for event in examples.writer.events if isinstance(event, TagDrifted)]
    assert {event.tag for event in drifted} == {"mask", "dog"}
    assert all(event.learned > 1_800 and event.loss_after > event.loss_before for event in drifted)
    shown = {row.name: row.drift for row in examples.served().tags()}
    assert shown["tree"] == 0
    assert shown["mask"] == sum(event.tag == "mask" for event in drifted)
    assert "tag 'mask' drifted" in caplog.text
