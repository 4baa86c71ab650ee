"""The tags worker over examples in memory: operations in log order, each once, and no refusal without a word."""

import logging

import numpy as np
import pytest
from prometheus_client import REGISTRY

from models.errors import StorageUnavailableError
from models.quantise import quantise
from models.tagging.examples import Example, TagOperation
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from search.served import ServedModels
from stream.environment import load_settings
from stream.events.example import SourcedExample, encode_example
from stream.events.schema import TagDrifted
from stream.learn.tags import OpenTagger, TagsParts, TagsWorker
from stream.log.consume import Record
from stream.log.model_versions import ModelPublisher
from stream.log.positions import StoredOffset, position_of
from tests.fakes import D, FakeWriter, unit

EXAMPLES = [Example(f"i{n}", quantise(unit(n)[None])[0], ("cat",) if n % 2 else ("kitty",)) for n in range(10)]
MERGE = TagOperation("s", "merge", ("kitty",), "cat")


class MemoryExamples:
    """A log reader over prepared records."""

    def __init__(self, records):
        self.waiting = list(records)

    def poll(self, timeout_s):
        taken, self.waiting = self.waiting, []
        return taken

    def caught_up(self, topic, partition):
        return not self.waiting

    def stored_offset(self, topic, partition, offset):
        return StoredOffset(topic, partition, offset, "id", 0)

    def commit_offsets(self, offsets, *, wait=False):
        pass


def record(offset, example, source=None, timestamp_ms=0):
    """A record of examples.v1; `source` is where it came from in tags.v1, else its own offset."""
    version = position_of(0, offset if source is None else source)
    value = encode_example(SourcedExample(example, "tags", 0, version, "enc"))
    return Record("examples", 0, offset, position_of(0, offset), timestamp_ms, b"key", value, ())


def learn(tmp_path, examples, told=None):
    """Learn everything; the tags that are served then."""
    settings = load_settings({}, data_dir=tmp_path)
    store = TaggerStore(tmp_path / "tagger.sqlite", Tagger(dimension=D))
    tagger, document = store.open()
    writer = FakeWriter()
    parts = TagsParts(
        MemoryExamples(examples),
        writer,
        OpenTagger(store, tagger, document),
        ModelPublisher(settings, "tagger", writer),
        settings,
    )
    worker = TagsWorker(parts)
    worker.stop()
    worker.run(drain=True)
    parts.state.close()
    if told is not None:
        told.extend(writer.events)
    served = ServedModels()
    served.take(writer.events[-1])
    return served.tagger.predictor.catalogue


class EndingExamples(MemoryExamples):
    """As above; asks the worker to stop when there are no more."""

    worker = None

    def poll(self, timeout_s):
        if not self.waiting:
            self.worker.stop()
        return super().poll(timeout_s)


@pytest.fixture
def filling(tmp_path, monkeypatch):
    """A worker over a disk that has no room for the first `refusals` looks at it; and how often it was looked at."""
    looks = []

    def make(refusals):
        def look(folder, needed_bytes):
            looks.append(folder)
            if len(looks) <= refusals:
                raise StorageUnavailableError("disk: no room; free some space")

        monkeypatch.setattr("stream.learn.tags.check_room", look)
        monkeypatch.setattr("stream.retry.FIRST_WAIT_S", 0.001)
        settings = load_settings({}, data_dir=tmp_path)
        store = TaggerStore(tmp_path / "tagger.sqlite", Tagger(dimension=D))
        tagger, document = store.open()
        reader = EndingExamples([record(n, example) for n, example in enumerate(EXAMPLES)])
        publisher = ModelPublisher(settings, "tagger", FakeWriter())
        parts = TagsParts(reader, FakeWriter(), OpenTagger(store, tagger, document), publisher, settings)
        reader.worker = TagsWorker(parts)
        return reader.worker, parts.state

    return make, looks


def test_on_a_full_disk_the_learner_waits_and_goes_on_by_itself(filling, tmp_path, caplog):
    make, looks = filling
    worker, state = make(3)
    worker.run()
    state.close()
    assert len(looks) == 3 + 2  # before learning, and before the checkpoint
    assert caplog.text.count("tagger state waits") == 3
    tagger, document = TaggerStore(tmp_path / "tagger.sqlite", Tagger(dimension=D)).open()
    assert (tagger.learned, document["position"]) == (len(EXAMPLES), len(EXAMPLES))


def test_asked_to_stop_on_a_full_disk_it_says_why_there_is_no_checkpoint(filling):
    make, _ = filling
    worker, state = make(1_000)
    worker.stop()
    with pytest.raises(StorageUnavailableError, match="free some space"):
        worker.run(drain=True)
    state.close()


def counts(catalogue):
    return {row.name: row.count for row in catalogue.tags()}


def counted(kind, outcome):
    labels = {"kind": kind, "outcome": outcome}
    return REGISTRY.get_sample_value("mekiki_tag_operations_total", labels) or 0.0


def test_an_operation_is_carried_out_in_its_place_and_served_with_what_came_of_it(tmp_path):
    before = counted("merge", "done")
    log = [*EXAMPLES, MERGE, Example("late", EXAMPLES[0].vector, ("kitty",))]
    catalogue = learn(tmp_path, [record(n, example) for n, example in enumerate(log)])
    assert counts(catalogue) == {"cat": 11}
    assert [(row.operation_id, row.outcome, row.active) for row in catalogue.snapshot.operations] == [
        ("s", "done", True)
    ]
    assert counted("merge", "done") == before + 1


def test_the_learner_is_told_the_time_of_the_log(tmp_path):
    learn(tmp_path, [record(n, example, timestamp_ms=1_800_000_000_000 + n) for n, example in enumerate(EXAMPLES)])
    store = TaggerStore(tmp_path / "tagger.sqlite", Tagger(dimension=D))
    tagger, _ = store.open()
    store.close()
    assert (tagger.schedule.begin, tagger.schedule.began_ms) == (0, 1_800_000_000_000)


def test_what_ingest_sent_twice_is_carried_out_once(tmp_path):
    before = counted("merge", "repeated")
    undo = TagOperation("u", "undo", target="s")
    log = [*EXAMPLES, MERGE, undo]
    records = [record(n, example) for n, example in enumerate(log)]
    again = [record(len(log) + n, example, source=10 + n) for n, example in enumerate([MERGE, undo])]
    catalogue = learn(tmp_path, [*records, *again])
    assert counts(catalogue) == {"cat": 5, "kitty": 5}
    assert [row.outcome for row in catalogue.snapshot.operations] == ["undone", "done"]
    assert counted("merge", "repeated") == before


def test_an_operation_posted_again_changes_nothing_and_is_counted_as_repeated(tmp_path):
    before = counted("merge", "repeated")
    log = [*EXAMPLES, MERGE, TagOperation("u", "undo", target="s"), MERGE]
    catalogue = learn(tmp_path, [record(n, example) for n, example in enumerate(log)])
    assert counts(catalogue) == {"cat": 5, "kitty": 5}
    assert counted("merge", "repeated") == before + 1


def test_a_refused_operation_is_logged_counted_and_served(tmp_path, caplog):
    before = counted("forget", "refused")
    log = [*EXAMPLES, TagOperation("f", "forget", ("zebra",))]
    with caplog.at_level(logging.WARNING):
        catalogue = learn(tmp_path, [record(n, example) for n, example in enumerate(log)])
    assert "forget 'f' refused: tags zebra: expected tags that were used before" in caplog.text
    assert counted("forget", "refused") == before + 1
    assert [(row.active, "zebra" in row.outcome) for row in catalogue.snapshot.operations] == [(False, True)]


def test_operations_survive_a_restart(tmp_path):
    first = learn(tmp_path, [record(n, example) for n, example in enumerate([*EXAMPLES, MERGE])])
    second = learn(tmp_path, [record(11, TagOperation("u", "undo", target="s"))])
    assert [row.operation_id for row in first.snapshot.operations] == ["s"]
    assert [row.operation_id for row in second.snapshot.operations] == ["s", "u"]
    assert counts(second) == {"cat": 5, "kitty": 5}


def test_a_split_says_which_pictures_it_moved(tmp_path):
    split = TagOperation("s", "split", ("cat",), "lynx", images=("i1", "i2", "i3", "nobody"))
    catalogue = learn(tmp_path, [record(n, example) for n, example in enumerate([*EXAMPLES, split])])
    assert counts(catalogue) == {"cat": 3, "kitty": 5, "lynx": 2}
    assert [image_id for image_id, _ in catalogue.snapshot.operations[0].moved] == ["i1", "i3"]
    assert np.isfinite(catalogue.weights("lynx")).all()


@pytest.mark.parametrize("kind", ["merge", "rename", "alias", "forget", "split"])
def test_after_an_undo_the_served_tags_are_those_of_before(tmp_path, kind):
    into = "" if kind == "forget" else "lynx"
    images = ("i1", "i3") if kind == "split" else ()
    log = [*EXAMPLES, TagOperation("s", kind, ("cat",), into, images), TagOperation("u", "undo", target="s")]
    catalogue = learn(tmp_path, [record(n, example) for n, example in enumerate(log)])
    assert {name: count for name, count in counts(catalogue).items() if count} == {"cat": 5, "kitty": 5}
    assert set(counts(catalogue)) <= {"cat", "kitty", "lynx"}


def noisy(centre, count, seed):
    points = unit(centre) + 0.15 * np.random.default_rng(seed).standard_normal((count, D)).astype(np.float32)
    return quantise(points / np.linalg.norm(points, axis=1, keepdims=True))


def test_a_tag_that_is_used_otherwise_than_before_is_told_and_shown(tmp_path, caplog):
    def used(centre, tag, seed, count):
        return [
            Example(f"{seed}/{i}", codes, (tag,), complete=True) for i, codes in enumerate(noisy(centre, count, seed))
        ]

    masks, dogs, trees = used(1, "mask", 1, 600), used(2, "dog", 2, 600), used(4, "tree", 3, 600)
    log = [example for three in zip(masks, dogs, trees, strict=True) for example in three]
    masks, dogs, trees = used(2, "mask", 4, 600), used(2, "dog", 5, 600), used(4, "tree", 6, 600)  # masks on dogs
    log += [example for three in zip(masks, dogs, trees, strict=True) for example in three]
    told = []
    with caplog.at_level(logging.WARNING, "stream.learn.tags"):
        catalogue = learn(tmp_path, [record(n, example) for n, example in enumerate(log)], told)
    drifted = [event for event in told if isinstance(event, TagDrifted)]
    assert {event.tag for event in drifted} == {"mask", "dog"}
    assert all(event.learned > 1_800 and event.loss_after > event.loss_before for event in drifted)
    shown = {row.name: row.drift for row in catalogue.tags()}
    assert shown["tree"] == 0
    assert shown["mask"] == sum(event.tag == "mask" for event in drifted)
    assert "tag 'mask' drifted" in caplog.text
