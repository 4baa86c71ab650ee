"""The ranking worker over its life: checkpoints, restarts, published versions, and an end while a neighbour is away."""

import random

import pytest

from models.errors import BrokerUnavailableError, IndexUnavailableError, StorageUnavailableError
from models.ranking.ranknet import Ranker
from stream.events.schema import ModelPublished
from tests.fake_stores import FOR_EVER
from tests.unit.stream.learn.clicks import Clicks, click, expected, page, pair, same


@pytest.fixture
def clicks(tmp_path):
    return Clicks(tmp_path)


def session(seed, count):
    """Pages, clicks on them, pairs, and clicks that cannot be used, in one seeded order."""
    rng = random.Random(seed)
    made = []
    for n in range(count):
        shown = [f"i{i}" for i in rng.sample(range(10), 4)]
        propensities = (1.0, 0.5, 0.25, 0.125) if n % 3 == 0 else None
        made += [page(f"p{n}", *shown, propensities=propensities), click(f"p{max(0, n - 2)}", rng.choice(shown))]
        made.append(pair(*rng.sample(shown, 2)))
    return made


def test_stopped_and_started_again_it_is_as_if_it_had_never_stopped(tmp_path):
    events = session(1, 40)
    whole, parts = Clicks(tmp_path / "whole"), Clicks(tmp_path / "parts")
    whole.log.post(*events)
    whole.run()
    for start in range(0, len(events), 17):
        parts.log.post(*events[start : start + 17])
        parts.run()
    assert same(parts.learned(), whole.learned())
    assert parts.saved()[0] == whole.saved()[0]
    assert parts.dead() == whole.dead()
    assert whole.learned().pairs_seen > 60


def test_how_the_log_is_cut_into_polls_changes_nothing(tmp_path):
    states = []
    for most in (1, 7, 1_000):
        clicks = Clicks(tmp_path / str(most))
        clicks.log.post(*session(2, 30))
        worker = clicks.worker()
        worker.reader.most = most
        worker.run()
        states.append(clicks.saved())
    assert states[0][0] == states[1][0] == states[2][0]
    assert all(same(clicks_of(state), clicks_of(states[0])) for state in states)


def clicks_of(state):
    return Ranker.from_state(state[1], state[0]["ranker"])


def test_killed_after_learning_and_before_saving_it_learns_that_again_and_nothing_twice(tmp_path, die_before_save):
    clicks = Clicks(tmp_path, checkpoint_interval_s=0.000_001)  # after every poll
    calm = Clicks(tmp_path / "calm")
    for one in (clicks, calm):
        one.log.post(*session(3, 24))
    calm.run()
    for polls in (1, 3, 5):
        worker = clicks.worker()
        worker.reader.most = 4
        die_before_save(worker.worker, polls)
        with pytest.raises(KeyboardInterrupt):
            worker.run()
    clicks.run()
    assert same(clicks.learned(), calm.learned())
    assert clicks.saved()[0] == calm.saved()[0]


# ---- versions -----------------------------------------------------------------------------------------------------


def test_what_is_published_is_what_was_learned_with_the_offset_it_covers(clicks):
    clicks.log.post(pair("i1", "i2"), pair("i3", "i4"))
    clicks.run()
    learned = expected((1, 2, 1.0), (3, 4, 1.0))
    announced = clicks.writer.events[-1]
    assert isinstance(announced, ModelPublished)
    assert (announced.model, announced.version, announced.offsets) == ("ranker", learned.version, {"clicks/0": 2})
    vectors = clicks.index.real.fetch(["i1", "i2", "i3"], with_vectors=True)
    for image in vectors.values():
        assert clicks.served().score(image.vector[None]) == learned.published().score(image.vector[None])


def test_a_version_is_announced_once_and_versions_grow(tmp_path):
    clicks = Clicks(tmp_path, publish_interval_ms=10)
    worker = clicks.worker()
    worker.reader.most = 1
    clicks.log.post(*session(4, 10))
    worker.run()
    clicks.run()  # nothing new: it says what it serves, once
    versions = [event.version for event in clicks.writer.events]
    assert versions == sorted(versions)
    assert versions[0] == 0
    assert versions.count(versions[-1]) == 2
    assert len(set(versions[:-1])) == len(versions) - 1


def test_an_announcement_that_the_broker_lost_is_made_again(clicks):
    clicks.log.post(pair("i1", "i2"))
    worker = clicks.worker()
    clicks.writer.failing = 2
    worker.run()
    assert [event.version for event in clicks.writer.events] == [0, 1]


# ---- waiting, draining, ending ------------------------------------------------------------------------------------


def test_neighbours_that_are_away_cost_time_and_nothing_else(clicks):
    clicks.log.post(*session(5, 5))
    calm = Clicks(clicks.settings.data_path / "calm")
    calm.log.post(*session(5, 5))
    calm.run()
    worker = clicks.worker()
    worker.reader.away, clicks.index.away, clicks.writer.failing = 3, 3, 3
    worker.run()
    assert same(clicks.learned(), calm.learned())
    assert clicks.dead() == calm.dead()


def test_asked_to_drain_it_learns_what_is_left_although_it_was_asked_to_stop(clicks):
    clicks.log.post(*session(6, 5))
    worker = clicks.worker()
    worker.reader.most = 2
    worker.worker.stopping.stop()
    worker.run(drain=True)
    assert clicks.saved()[0]["offsets"][0]["offset"] == clicks.log.end("clicks", 0)
    assert clicks.log.committed == {("clicks", 0): clicks.log.end("clicks", 0)}


def test_told_that_the_broker_is_gone_it_saves_what_it_learned_and_waits_for_nobody(clicks):
    clicks.log.post(pair("i1", "i2"), pair("i3", "i4"))
    worker = clicks.worker()
    worker.reader.most = 1
    learn = worker.worker.learn

    def learn_and_lose_the_broker(records):
        learn(records)
        clicks.writer.failing = worker.reader.away = FOR_EVER
        worker.worker.stopping.stop_now()

    worker.worker.learn = learn_and_lose_the_broker
    worker.run(drain=True)
    assert same(clicks.learned(), expected((1, 2, 1.0)))
    assert clicks.saved()[0]["offsets"][0]["offset"] == 1


def stop_when(worker, method):
    """Ask a worker to stop in the middle of a call to a neighbour."""

    def stopping(*arguments, **named):
        worker.worker.stopping.stop()
        return method(*arguments, **named)

    return stopping


def test_asked_to_stop_while_the_index_is_away_the_clicks_are_learned_after_the_restart(clicks):
    clicks.log.post(pair("i1", "i2"))
    worker = clicks.worker()
    clicks.index.away = FOR_EVER
    worker.reader.poll = stop_when(worker, worker.reader.poll)
    with pytest.raises(IndexUnavailableError):
        worker.run()
    clicks.index.away = 0
    clicks.run()
    assert same(clicks.learned(), expected((1, 2, 1.0)))


def test_asked_to_stop_while_the_broker_is_away_what_was_learned_is_on_disk(clicks):
    clicks.log.post(pair("i1", "i2"))
    worker = clicks.worker()

    def go_away():
        clicks.writer.failing = worker.reader.away = FOR_EVER
        worker.worker.stopping.stop()

    worker.reader.at_end = go_away
    with pytest.raises(BrokerUnavailableError):
        worker.run()
    assert same(clicks.learned(), expected((1, 2, 1.0)))
    clicks.run()
    assert clicks.writer.events[-1].version == 1


def test_asked_to_stop_while_the_broker_takes_no_dead_letter_it_is_posted_after_the_restart(clicks):
    clicks.log.post(pair("i1", "i20"), pair("i1", "i2"))
    worker = clicks.worker()
    worker.worker.publish()
    clicks.writer.failing = FOR_EVER
    worker.reader.poll = stop_when(worker, worker.reader.poll)
    with pytest.raises(BrokerUnavailableError):
        worker.run()
    clicks.run()
    assert clicks.dead() == ["unknown_image"]
    assert same(clicks.learned(), expected((1, 2, 1.0)))


def test_asked_to_stop_while_the_disk_is_full_it_says_so_and_the_last_checkpoint_counts(clicks, monkeypatch):
    clicks.log.post(pair("i1", "i2"))
    clicks.run()
    clicks.log.post(pair("i3", "i4"))
    worker = clicks.worker()

    def full(state_file, facts, arrays):
        raise StorageUnavailableError("state: disk full; free some space")

    with monkeypatch.context() as patched:
        patched.setattr("models.state_file.StateFile.save", full)
        with pytest.raises(StorageUnavailableError, match="free some space"):
            worker.run()
    assert same(clicks.learned(), expected((1, 2, 1.0)))
    clicks.run()
    assert same(clicks.learned(), expected((1, 2, 1.0), (3, 4, 1.0)))
