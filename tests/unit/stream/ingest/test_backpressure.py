"""Read faster than written: partitions are paused, what waits in memory is bounded, and reading goes on by itself."""

import threading

import pytest

from stream.events.schema import ImagePosted
from stream.ingest.prepare import DATAREFS_AT_ONCE
from stream.ingest.stages import QUEUE_BATCHES
from stream.pictures.dataref import DatarefReader
from tests.unit.stream.ingest.rig import STALLED_BATCHES, Rig, post, wait_for

LIMIT = 1_000_000  # the least that the settings take
PICTURE = 100_000
IMAGES = 60
MOST = 3  # records of one poll


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path, encoder={"batch_size": 1}, ingest={"queue_bytes": LIMIT})
    rig.log.post(*(post(f"i{n}", b"pic" + bytes([n]) * PICTURE) for n in range(IMAGES)))
    return rig


def watched(worker):
    """A worker of whom every poll notes how many records wait between the log and the decoder."""
    waiting, poll = [], worker.reader.poll

    def noting(timeout_s, max_records=None):
        found = poll(timeout_s, max_records)
        waiting.append(worker.reader.position("images", 0) - worker.decoder.calls)
        return found

    worker.reader.poll, worker.reader.most = noting, MOST
    return waiting


def test_what_waits_is_bounded_and_polling_goes_on_while_the_index_stands_still(rig):
    worker = rig.worker()
    waiting = watched(worker)
    rig.index.gate.clear()
    worker.start().wait_stalled()
    wait_for(lambda: ("images", 0) in worker.reader.paused)
    position, polls = worker.reader.position("images", 0), worker.reader.polls
    wait_for(lambda: worker.reader.polls >= polls + 3)  # the membership lives
    assert worker.reader.position("images", 0) == position
    assert LIMIT / PICTURE < position <= LIMIT / PICTURE + MOST + STALLED_BATCHES + QUEUE_BATCHES
    rig.index.gate.set()
    wait_for(rig.is_done)
    worker.pipeline.stopping.stop()
    worker.join()
    assert worker.failure is None
    assert worker.reader.paused == set()
    assert rig.index.real.count() == IMAGES
    assert max(waiting) <= LIMIT / PICTURE + MOST + QUEUE_BATCHES


def test_a_rebalance_in_the_middle_of_a_pause_does_not_leave_partitions_paused(tmp_path):
    rig = Rig(tmp_path, partitions=2, encoder={"batch_size": 1}, ingest={"queue_bytes": LIMIT})
    worker = rig.worker(group_wide=True)
    worker.reader.most = MOST
    ids = [f"i{n}" for n in range(200)]
    rig.log.post(*(post(i, b"pic" + bytes(PICTURE)) for i in ids if rig.log.partition_of(i) == 0))
    rig.log.rebalance({worker.reader: {0}})
    rig.index.gate.clear()
    worker.start().wait_stalled()
    wait_for(lambda: worker.reader.paused == {("images", 0), ("operations", 0)})
    rig.log.rebalance({worker.reader: {0, 1}})
    wait_for(worker.reader.revoking.is_set)
    rig.index.gate.set()
    rig.log.post(*(post(i) for i in ids if rig.log.partition_of(i) == 1))
    wait_for(lambda: rig.is_done() and not worker.reader.paused)
    worker.pipeline.stopping.stop()
    worker.join()
    assert worker.failure is None
    assert rig.index.real.count() == len(ids)


def test_of_pictures_that_are_referred_to_the_bytes_of_a_few_are_in_memory_at_once(tmp_path, monkeypatch):
    lock, held = threading.Lock(), [0]

    class Held(bytes):
        """Counts those that are still in use."""

        def __init__(self, _):
            with lock:
                held.append(held[-1] + 1)

        def __del__(self):
            with lock:
                held.append(held[-1] - 1)

    read = DatarefReader.read
    monkeypatch.setattr(DatarefReader, "read", lambda self, uri: Held(read(self, uri)))
    for n in range(IMAGES):
        (tmp_path / f"{n}.png").write_bytes(b"pic%d" % n)
    rig = Rig(tmp_path / "data", encoder={"batch_size": IMAGES}, ingest={"dataref_roots": [str(tmp_path)]})
    rig.log.post(*(ImagePosted(image_id=f"i{n}", dataref=(tmp_path / f"{n}.png").as_uri()) for n in range(IMAGES)))
    rig.run()
    assert rig.index.real.count() == IMAGES
    assert (held[-1], max(held) <= DATAREFS_AT_ONCE) == (0, True)
