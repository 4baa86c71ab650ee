"""What is durable before what, and that a worker may die or a neighbour fail at any moment.

The order of a batch: bytes of pictures, then examples and dead letters, then images, and offsets with the last of them.
"""

import itertools
from collections import Counter

import pytest

from stream.events.schema import TagsApplied
from stream.log.record import Record
from tests.fakes import Killed
from tests.unit.stream.ingest.rig import Rig, delete, post, tag

EVENTS = (
    post("a", b"pic1", tags=("cat",)), post("b", b"pic2"), post("bad", b"nothing"), tag("a", "pet"), tag("ghost", "x"),
    post("c", b"pic3", complete=True), delete("b"), post("a", b"pic4"), tag("c", "dog"), tag("b", "late"),
    post("d", b"pic5"), tag("d", "bird"), delete("c"), post("e", b"nothing"), post("f", b"pic6", tags=("fish",)),
)  # fmt: skip


def make(tmp_path, images=2):
    """Small batches, so that there are many moments between two of them."""
    rig = Rig(tmp_path, encoder={"batch_size": images})
    rig.log.post(*EVENTS)
    return rig


def check_offsets_cover_what_is_done(rig):
    """No offset in the index is ahead of the images below it, nor of their examples, dead letters and bytes."""
    done = rig.offsets()
    present = rig.index.real.fetch([record.key.decode() for record in rig.log.read("images", 0, 0)])
    dead = {key for _, key, _ in rig.dead()}
    sent = {source for source, _ in rig.examples()}
    for record in rig.log.read("images", 0, 0)[: done.get(("images", 0), 0)]:
        image_id = record.key.decode()
        assert record.key in dead or present[image_id].position >= record.position
        if any(name in ("ce_tags", "ce_complete") for name, _ in record.headers):
            assert ("images", 0, record.position) in sent
        if dict(record.headers)["ce_type"] == TagsApplied.type.encode():
            waits = any(Record.from_text(text).offset == record.offset for text in present[image_id].waiting)
            assert waits or record.key in dead or ("images", 0, record.position) in sent
    posted = Counter(record.key.decode() for record in rig.log.read("images", 0, 0))
    for image_id, stored in present.items():  # old bytes go before the write that says so
        if stored.payload is not None:
            assert posted[image_id] > 1 or rig.pictures.get(stored.payload.stored)


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The outcome of a run in which nothing happens."""
    rig = make(tmp_path_factory.mktemp("calm"))
    rig.run()
    return rig.outcome()


def test_a_calm_run_does_what_the_events_say(calm):
    stored, kept, offsets, examples, dead = calm
    assert {i for i, (deleted, *_) in stored.items() if not deleted} == {"a", "d", "f", "ghost"}
    assert {i: stored[i][3].tags for i in "adf"} == {"a": ("cat", "pet"), "d": ("bird",), "f": ("fish",)}
    assert kept == {stored[i][3].stored: content for i, content in (("a", b"pic4"), ("d", b"pic5"), ("f", b"pic6"))}
    assert offsets == {("images", 0): 15}
    assert Record.from_text(stored["ghost"][2][0]).offset == 4
    assert len(examples) == 9
    reasons = {b"bad": "not_an_image", b"e": "not_an_image", b"b": "image_deleted"}
    assert {key: reason for _, key, reason in dead} == reasons


def test_each_batch_is_written_in_one_order(tmp_path):
    rig = make(tmp_path)
    rig.run()
    batch, written = [], 0
    for kind, what in rig.journal.entries:
        batch.append(kind)
        if kind == "index":
            order = ["pictures", "acknowledged", "removed", "images", "index"]
            assert batch == [kind for kind in order if kind in batch]
            assert what[1], "a write without the offsets it covers"
            batch, written = [], written + 1
    assert batch == []
    assert written >= 4


def test_a_worker_that_dies_after_any_effect_loses_and_repeats_nothing(tmp_path, calm):
    for moment in itertools.count(1):
        rig = make(tmp_path / str(moment))
        rig.journal.kill_after = moment
        try:
            rig.run()
            break  # there are no more effects than that
        except Killed:
            check_offsets_cover_what_is_done(rig)
        rig.journal.kill_after = None
        rig.run()
        assert rig.outcome() == calm, f"killed after effect {moment}: {rig.journal.entries[moment - 1]}"
    assert moment > 8


def test_a_worker_that_dies_once_and_again_gets_to_the_end(tmp_path, calm):
    rig = make(tmp_path)
    for _ in range(3):
        rig.journal.kill_after = len(rig.journal.entries) + 2
        with pytest.raises(Killed):
            rig.run()
        check_offsets_cover_what_is_done(rig)
    rig.journal.kill_after = None
    rig.run()
    assert rig.outcome() == calm


@pytest.mark.parametrize("failing", [1, 3])
def test_what_the_broker_did_not_acknowledge_is_sent_again(tmp_path, calm, failing):
    """Examples and dead letters: a flush that fails has forgotten both."""
    rig = make(tmp_path)
    rig.writer.failing = failing
    rig.run()
    assert rig.outcome() == calm
    assert len(rig.dead()) == len(set(rig.dead()))


def test_a_batch_of_dead_letters_alone_is_acknowledged_before_its_offset(rig):
    rig.log.post(post("bad", b"nothing"), post("worse", b"nothing"))
    rig.run()
    assert len(rig.dead()) == 2
    assert [kind for kind, _ in rig.journal.entries] == ["acknowledged", "index"]


def test_an_index_that_is_away_costs_time_and_nothing_else(tmp_path, calm):
    rig = make(tmp_path)
    worker = rig.worker()
    rig.index.away = 7
    worker.drain()
    assert rig.index.away == 0
    assert rig.outcome() == calm


@pytest.mark.parametrize("torn_after", [0, 1, 2])
def test_a_write_that_fails_in_the_middle_is_done_again_and_its_offset_comes_last(tmp_path, torn_after):
    rig = Rig(tmp_path, encoder={"batch_size": 4})
    rig.log.post(*(post(f"i{n}", b"pic%d" % n, tags=("t",)) for n in range(8)))
    rig.index.part, rig.index.torn_after = 1, torn_after
    rig.run()
    first = [ids for ids, _ in rig.journal.of("index")][:torn_after]
    assert first == [[f"i{n}"] for n in range(torn_after)]
    assert rig.index.real.count() == 8
    for number, (_, offsets) in enumerate(rig.journal.of("index")):
        before = [i for ids, _ in rig.journal.of("index")[: number + 1] for i in ids]
        assert len(set(before)) >= offsets.get(("images", 0), 0)


def test_a_disk_without_room_for_pictures_holds_the_batch_back(tmp_path, calm):
    rig = make(tmp_path)
    rig.pictures.away = 3
    rig.run()
    assert rig.pictures.away == 0
    assert rig.outcome() == calm
