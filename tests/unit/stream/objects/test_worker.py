"""The objects of images follow the images, whatever happens on the way."""

import hashlib

import pytest

from stream.index.objects import OBJECTS, ImageObjects, ObjectPoints
from stream.objects import worker as module
from stream.objects.cut import Cutter
from stream.objects.worker import ObjectsWorker
from stream.stopping import StopRequest
from tests.contract.dict_index import DictIndex, Points
from tests.fake_log import FakeReader
from tests.fake_stores import FakeIndex
from tests.fakes import D, FakeDecoder, FakeEncoder, Killed, unit
from tests.unit.stream.ingest.rig import Rig, delete, post, tag

TWO, THREE, NONE = b"pic\x02a", b"pic\x03b", b"pic\x00c"  # as many parts, see FakeDecoder


class Objects(ObjectPoints):
    """What outlives a worker; dies before its `killed`th write."""

    def __init__(self):
        super().__init__(DictIndex(Points(), OBJECTS))
        self.open(FakeEncoder.version, D)
        self.writes, self.killed = 0, None

    def write(self, objects, offsets):
        if self.writes == self.killed:
            raise Killed
        self.writes += 1
        super().write(objects, offsets)


@pytest.fixture
def objects():
    return Objects()


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path, partitions=2)


def work(rig, objects, *, embedded=False, index=None):
    """A worker of its own that ends once nothing comes any more."""
    index = index or FakeIndex(shared=rig.index)
    reader = FakeReader(rig.log, ("images",), objects.offsets)
    cutter = Cutter(
        index, objects, FakeEncoder(), FakeDecoder(patient=True), rig.pictures, rig.worker().parts.datarefs, 3
    )
    worker = ObjectsWorker(reader, cutter, StopRequest(), embedded=embedded)
    poll = reader.poll

    def poll_to_the_end(timeout_s):
        found = poll(timeout_s)
        if timeout_s and not found:  # there was nothing to do either
            worker.stopping.stop()
        return found

    reader.poll = poll_to_the_end
    worker.run()
    return worker


def known(objects, *image_ids):
    found = objects.fetch(image_ids, with_vectors=True)
    return {i: (one.sha256[:6], len(one.boxes)) for i, one in found.items()}


def sha(content):
    return hashlib.sha256(content).hexdigest()[:6]


def test_each_picture_has_its_objects_and_the_offsets_cover_them(rig, objects):
    rig.log.post(post("a", TWO), post("b", THREE), post("c", NONE), tag("a", "cat"), post("bad", b"nothing"))
    rig.run()
    work(rig, objects)
    assert known(objects, "a", "b", "c", "bad") == {"a": (sha(TWO), 2), "b": (sha(THREE), 3), "c": (sha(NONE), 0)}
    assert {(at.topic, at.partition): at.offset for at in objects.offsets()} == rig.log.ends()
    found = objects.search(unit((ord("a") + 50) * 4 * 4 * 3), 1)
    assert (found[0].image_id, found[0].score) == ("a", pytest.approx(1.0, abs=1e-3))


def test_nothing_is_cut_before_ingest_has_it(rig, objects):
    rig.log.post(post("a", TWO))
    work(rig, objects)
    assert (known(objects, "a"), objects.offsets()) == ({}, [])
    rig.run()
    work(rig, objects)
    assert known(objects, "a") == {"a": (sha(TWO), 2)}


def test_a_picture_that_is_replaced_or_deleted_takes_its_objects_along(rig, objects):
    rig.log.post(post("a", TWO), post("b", TWO))
    rig.run()
    work(rig, objects)
    rig.log.post(post("a", THREE), delete("b"))
    rig.run()
    work(rig, objects)
    assert known(objects, "a", "b") == {"a": (sha(THREE), 3), "b": ("", 0)}
    assert [one.image_id for one in objects.search(unit(0), 9)] == ["a"]


def test_what_was_cut_is_not_cut_again(rig, objects):
    rig.log.post(post("a", TWO))
    rig.run()
    work(rig, objects)
    before = objects.fetch(["a"])["a"]
    rig.log.post(tag("a", "cat"), post("a", TWO))
    rig.run()
    work(rig, objects)
    assert objects.fetch(["a"])["a"] == before


def test_a_embedded_over_the_same_images_finds_those_without_objects(rig, objects):
    rig.log.post(*(post(f"i{n}", TWO) for n in range(20)))
    rig.run()
    objects.write([], rig.index.real.offsets())  # the log that is behind them cannot be read again
    work(rig, objects)
    assert known(objects, *(f"i{n}" for n in range(20))) == {}
    work(rig, objects, embedded=True)
    assert len(known(objects, *(f"i{n}" for n in range(20)))) == 20


def test_bytes_that_are_away_are_looked_for_again(rig, objects):
    rig.log.post(post("a", TWO))
    rig.run()
    kept, rig.pictures.names = rig.pictures.names, {}
    work(rig, objects)
    assert known(objects, "a") == {"a": ("", 0)}
    rig.pictures.names = kept
    work(rig, objects, embedded=True)
    assert known(objects, "a") == {"a": (sha(TWO), 2)}


@pytest.mark.parametrize("at_once", [1, 8])
def test_killed_before_any_write_it_ends_as_if_nothing_had_happened(rig, objects, monkeypatch, at_once):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    rig.log.post(*(post(f"i{n}", TWO if n % 2 else THREE) for n in range(6)), delete("i1"), post("i2", NONE))
    rig.run()
    names = [f"i{n}" for n in range(6)]
    calm = Objects()
    work(rig, calm)
    expected = known(calm, *names)
    assert expected == {"i0": (sha(THREE), 3), "i2": (sha(NONE), 0), "i4": (sha(THREE), 3)} | {
        name: (sha(TWO), 2) for name in ("i3", "i5")
    }  # i1 was deleted before it was looked at
    for killed in range(calm.writes):
        ended = Objects()
        ended.killed = killed
        with pytest.raises(Killed):
            work(rig, ended)
        ended.killed = None
        work(rig, ended)
        assert known(ended, *names) == expected
        assert ended.offsets() == calm.offsets()


def test_an_index_that_is_away_is_waited_for(rig, objects, monkeypatch):
    monkeypatch.setattr("stream.retry.FIRST_WAIT_S", 0.001)
    rig.log.post(post("a", TWO))
    rig.run()
    index = FakeIndex(shared=rig.index)
    index.away = 3
    work(rig, objects, index=index)
    assert known(objects, "a") == {"a": (sha(TWO), 2)}


def test_an_older_worker_changes_nothing_of_a_newer_one(rig, objects):
    rig.log.post(post("a", TWO))
    rig.run()
    work(rig, objects)
    old = objects.fetch(["a"], with_vectors=True)["a"]
    rig.log.post(delete("a"))
    rig.run()
    work(rig, objects)
    objects.write([old], [])
    assert known(objects, "a") == {"a": ("", 0)}
    assert isinstance(old, ImageObjects)


def test_who_asks_to_stop_waits_for_one_picture_alone(rig, objects):
    rig.log.post(*(post(f"i{n}", TWO) for n in range(8)))
    rig.run()
    decoder = FakeDecoder(patient=True)
    reader = FakeReader(rig.log, ("images",), objects.offsets)
    cutter = Cutter(
        FakeIndex(shared=rig.index), objects, FakeEncoder(), decoder, rig.pictures, rig.worker().parts.datarefs, 3
    )
    worker = ObjectsWorker(reader, cutter, StopRequest(), embedded=False)
    regions, cut = decoder.regions, []

    def slowly(content, most):
        worker.stopping.stop()
        cut.append(content)
        return regions(content, most)

    decoder.regions = slowly
    worker.run()
    assert len(cut) == 1
    assert objects.offsets() == []


def test_beside_an_embedded_ingest_that_is_busy_nothing_is_done(rig, objects):
    rig.log.post(post("a", TWO))
    rig.run()
    rig.log.post(post("b", TWO))
    work(rig, objects, embedded=True)
    assert objects.offsets() == []
    work(rig, objects)
    assert objects.offsets() != []
    assert known(objects, "b") == {}
