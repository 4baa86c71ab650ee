"""Asked to end: what is in flight is finished, and a neighbour that is away keeps nobody for ever."""

import pytest

from models.errors import IndexUnavailableError, OffsetLostError
from tests.fake_stores import FOR_EVER
from tests.unit.stream.ingest.rig import Rig, post

IMAGES = 40


@pytest.fixture
def rig(tmp_path):
    """Batches of one picture, and more of them than the queues hold."""
    rig = Rig(tmp_path, encoder={"batch_size": 1})
    rig.log.post(*(post(f"i{n}", b"pic%d" % n, tags=("t",)) for n in range(IMAGES)))
    return rig


def go_away(rig, worker, neighbour):
    """Let a neighbour be away until `come_back`."""
    if neighbour == "index":
        rig.index.away = FOR_EVER
    elif neighbour == "pictures":
        rig.pictures.away = FOR_EVER
    else:
        rig.writer.failing = FOR_EVER
    if neighbour == "broker":
        worker.reader.away = FOR_EVER


def come_back(rig, worker):
    rig.index.away = rig.pictures.away = rig.writer.failing = worker.reader.away = 0


@pytest.mark.parametrize("neighbour", ["index", "pictures", "acknowledgements"])
def test_with_a_backlog_and_a_neighbour_away_it_ends_by_its_deadline(rig, monkeypatch, neighbour):
    monkeypatch.setattr("stream.ingest.pipeline.FINISH_S", 0.1)
    worker = rig.worker()
    go_away(rig, worker, neighbour)
    worker.start().wait_stalled()
    worker.pipeline.stopping.stop()
    worker.join()
    assert worker.failure is None
    assert rig.index.real.count() == 0
    come_back(rig, worker)
    rig.run()
    assert rig.index.real.count() == IMAGES
    assert {one.image_id for _, one in rig.examples()} == {f"i{n}" for n in range(IMAGES)}


def test_with_the_broker_away_it_ends_by_its_deadline(rig, monkeypatch):
    """Neither the acknowledgements nor the membership can be had any more."""
    monkeypatch.setattr("stream.ingest.pipeline.FINISH_S", 0.1)
    worker = rig.worker()
    rig.writer.failing = FOR_EVER
    worker.start().wait_stalled()
    go_away(rig, worker, "broker")
    worker.pipeline.stopping.stop()
    worker.join()
    assert worker.failure is None


@pytest.mark.parametrize("neighbour", ["index", "pictures", "acknowledgements", "broker"])
def test_a_neighbour_that_comes_back_in_time_gets_what_was_in_flight(rig, neighbour):
    worker = rig.worker()
    rig.index.gate.clear()
    worker.start().wait_stalled()
    go_away(rig, worker, neighbour)
    worker.pipeline.stopping.stop()
    come_back(rig, worker)
    rig.index.gate.set()
    worker.join()
    assert worker.failure is None
    assert rig.index.real.count() == rig.offsets()["images", 0] >= 3
    assert rig.log.committed == rig.offsets()


def test_what_is_in_flight_is_written_and_nothing_new_is_begun(rig):
    worker = rig.worker()
    rig.index.gate.clear()
    worker.start().wait_stalled()
    worker.pipeline.stopping.stop()
    rig.index.gate.set()
    worker.join()
    written = rig.index.real.count()
    assert 3 <= written < IMAGES
    assert rig.offsets() == rig.log.committed == {("images", 0): written}
    assert worker.pipeline.in_flight == 0


def test_told_that_the_broker_is_gone_it_ends_without_what_is_in_flight(rig):
    worker = rig.worker()
    rig.index.away = FOR_EVER
    worker.start().wait_stalled()
    worker.pipeline.stopping.stop_now()
    worker.join()
    assert (worker.failure, rig.index.real.count()) == (None, 0)


def test_while_the_broker_is_away_the_worker_waits_for_it(rig):
    worker = rig.worker()
    worker.reader.away = 5
    worker.drain()
    assert worker.reader.away == 0
    assert rig.index.real.count() == IMAGES


def test_an_offset_that_is_gone_from_the_log_ends_the_worker_at_once(rig):
    worker = rig.worker()

    def poll(timeout_s, max_records=None):
        raise OffsetLostError("log: the stored offset is not there any more")

    worker.reader.poll = poll
    with pytest.raises(OffsetLostError):
        worker.pipeline.run()
    assert rig.index.real.count() == 0


def test_an_index_that_is_away_at_the_start_is_the_callers_to_wait_for(rig):
    rig.index.away = 1
    with pytest.raises(IndexUnavailableError):
        rig.worker()
