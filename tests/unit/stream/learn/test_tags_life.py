"""The tags worker over its life: state and offset together, an end while a neighbour is away, a disk that fills up."""

import pytest

from models.errors import BrokerUnavailableError, CheckpointError, EncoderMismatchError, StorageUnavailableError
from tests.fake_stores import FOR_EVER
from tests.unit.stream.learn.examples import EXAMPLES, Examples, counts, example


@pytest.fixture
def examples(tmp_path):
    return Examples(tmp_path)


def test_killed_between_two_checkpoints_it_learns_the_rest_again_and_nothing_twice(tmp_path, die_before_save):
    examples = Examples(tmp_path, checkpoint_interval_s=0.000_001)  # after every poll
    examples.post(*EXAMPLES, *(example(n, "late") for n in range(20, 40)))
    for polls in (1, 3, 2):
        worker = examples.worker()
        worker.reader.most = 4
        die_before_save(worker.worker, polls)
        with pytest.raises(KeyboardInterrupt):
            worker.run()
    assert counts(examples.run()) == {"cat": 5, "kitty": 5, "late": 20}


def test_a_record_that_is_no_example_stops_the_learner_before_it_learns(examples):
    examples.post(*EXAMPLES)
    examples.append(b"nothing of ours")
    with pytest.raises(CheckpointError, match=r"examples\.v1 offset 10"):
        examples.worker().run()


def test_a_vector_of_another_encoder_stops_the_learner_also_after_a_restart(examples):
    examples.post(*EXAMPLES)
    examples.run()
    examples.send(example(20, "cat"), 20, encoder="another")
    with pytest.raises(EncoderMismatchError, match=r"offset 10.*another.*expected enc"):
        examples.worker().run()


def test_neighbours_that_are_away_cost_time_and_nothing_else(examples):
    examples.post(*EXAMPLES)
    worker = examples.worker()
    worker.reader.away, examples.writer.failing = 3, 3
    worker.run()
    assert counts(examples.served()) == {"cat": 5, "kitty": 5}


def test_asked_to_stop_while_the_broker_is_away_what_was_learned_is_on_disk(examples):
    examples.post(*EXAMPLES)
    worker = examples.worker()

    def go_away():
        examples.writer.failing = worker.reader.away = FOR_EVER
        worker.worker.stopping.stop()

    worker.reader.at_end = go_away
    with pytest.raises(BrokerUnavailableError):
        worker.run()
    assert counts(examples.run()) == {"cat": 5, "kitty": 5}


def test_asked_to_drain_it_learns_what_is_left(examples):
    examples.post(*EXAMPLES)
    worker = examples.worker()
    worker.reader.most = 3
    worker.worker.stopping.stop()
    worker.run(drain=True)
    assert counts(examples.served()) == {"cat": 5, "kitty": 5}


# ---- a disk that fills up -----------------------------------------------------------------------------------------


@pytest.fixture
def looks(monkeypatch):
    """How often the disk was looked at; the first looks, as many as the list holds at first, find no room."""
    made = {"refused": 0, "looks": 0}

    def look(folder, needed_bytes):
        made["looks"] += 1
        if made["looks"] <= made["refused"]:
            raise StorageUnavailableError("disk: no room; free some space")

    monkeypatch.setattr("stream.learn.tags.check_room", look)
    return made


def test_on_a_full_disk_the_learner_waits_and_goes_on_by_itself(examples, looks, caplog):
    looks["refused"] = 3
    examples.post(*EXAMPLES)
    assert counts(examples.run()) == {"cat": 5, "kitty": 5}
    assert looks["looks"] == 3 + 2  # before learning, and before the checkpoint
    assert caplog.text.count("tagger state waits") == 3


def test_asked_to_stop_on_a_full_disk_it_says_why_there_is_no_checkpoint(examples, looks):
    looks["refused"] = FOR_EVER
    examples.post(*EXAMPLES)
    worker = examples.worker()
    worker.worker.stopping.stop()
    with pytest.raises(StorageUnavailableError, match="free some space"):
        worker.run(drain=True)
