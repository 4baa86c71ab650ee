"""What came of a story: what is in every store and topic, and what a replay makes of the learners' own logs."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from admin.operators.dlq import read_all
from models.tagging.state import SETTINGS
from stream.events.example import decode_example, encode_example
from stream.index.contract import VectorIndex
from stream.learn.ranking import RankingWorker, open_ranker
from stream.learn.tagger_state import OpenTagger, open_tagger
from stream.learn.tags import TagsWorker
from stream.learn.worker import LearningParts, LearningWorker
from stream.log.reading.consume import LogReader
from stream.log.record import Record
from stream.settings import Settings
from stream.stopping import StopRequest
from tests.digests import digest, exact_digest
from tests.fakes import FakeWriter
from tests.faults.events import contents, sums
from tests.faults.story import Letter, Story

REPLAY_BATCH = 97  # records at once: no batch of the workers


@dataclass(frozen=True)
class Outcome:
    """What has to be the same whatever happened on the way.

    Attributes:
        images: all that is kept of each, with its vector.
        waiting: events that wait, by image.
        pictures: names of the bytes that are kept.
        examples: by source topic, partition and position, a hash of what is to be learned.
        learned: examples and operations that the tagger learned.
        sums: of the tagger, by tag name.
        sums_digest: and of its exemplars.
        operations: what came of each.
        ranker: all of its state but the offset.
        letters: dead letters as `mekiki dlq list` counts them.
    """

    images: dict[str, Any]
    waiting: dict[str, tuple[str, ...]]
    pictures: set[str]
    examples: dict[tuple[str, int, int], str]
    learned: int
    sums: Any
    sums_digest: str
    operations: dict[str, str]
    ranker: dict[str, str]
    letters: Counter[Letter]


def read_topic(settings: Settings, topic: str) -> list[Record]:
    """All records of a topic with one partition."""
    records: list[Record] = []
    with closing(LogReader(settings, (topic,), "outcome", lambda: ())) as reader:
        while True:
            polled = reader.poll(0.2)
            records += polled
            if not polled and reader.caught_up(topic, 0):
                return records


def outcome(settings: Settings, index: VectorIndex) -> Outcome:
    """Read everything; no worker runs but the index."""
    with closing(open_tagger(settings)) as state:
        operations = {name: one.outcome for name, one in state.tagger.operations.by_id.items()}
        learned, sums_digest = state.position, exact_digest(state.tagger)
    return Outcome(
        images=contents(index),
        waiting={record.image_id: record.waiting for record in index.scroll_waiting(None, 10_000)[0]},
        pictures=_pictures(settings.data_path / "pictures.sqlite"),
        examples=_examples(read_topic(settings, "examples")),
        learned=learned,
        sums=sums(settings.data_path / "tagger.sqlite"),
        sums_digest=sums_digest,
        operations=operations,
        ranker={name: value for name, value in _ranker(settings).items() if name != "offsets"},
        letters=Counter(
            (letter.topic, dict(letter.headers).get("ce_id", letter.key or b"").decode(), letter.reason)
            for letter in read_all(settings)
        ),
    )


def _pictures(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        return {name.hex() for (name,) in database.execute("SELECT name FROM named_pictures WHERE content IS NOT NULL")}


def _examples(records: list[Record]) -> dict[tuple[str, int, int], str]:
    """An example that stands there twice has to be the same one, but for the one before it in its batch."""
    found: dict[tuple[str, int, int], str] = {}
    for record in records:
        sourced = decode_example(record.value, record.timestamp_ms)
        value = encode_example(replace(sourced, after=None)) + str(record.timestamp_ms).encode()
        at = (sourced.topic, sourced.partition, sourced.position)
        hashed = hashlib.sha256(value).hexdigest()
        assert found.setdefault(at, hashed) == hashed, f"two different examples come from {at}"
    return found


def _ranker(settings: Settings) -> dict[str, str]:
    """The ranker's state file in words and hashes."""
    with closing(open_ranker(settings)) as state_file:
        saved = state_file.load()
    assert saved is not None, "no checkpoint of the ranker"
    facts, arrays = saved
    return {name: repr(fact) for name, fact in facts.items()} | {
        f"array {name}": f"{array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
        for name, array in arrays.items()
    }


def _tagger(state: OpenTagger) -> dict[str, Any]:
    return {
        "state": digest(state.tagger),
        "settings": [getattr(state.tagger, name) for name in SETTINGS],
        "high-water marks": state.high_water_marks,
        "offsets": state.offsets,
        "encoder": state.encoder,
        "learned": state.position,
    }


def unlike_replay(settings: Settings, index: VectorIndex, folder: Path) -> list[str]:
    """Where the learners' states differ from those that learn their own logs from empty, with their own steps."""
    empty = settings.model_copy(update={"data_dir": folder})
    found = []
    with closing(open_tagger(settings)) as state, closing(open_tagger(empty)) as replayed:
        _learn(empty, "examples", lambda parts: TagsWorker(parts, replayed))
        there, again = _tagger(state), _tagger(replayed)
        found += [f"tagger: {name} is not that of a replay" for name in there if there[name] != again[name]]
    with closing(open_ranker(empty)) as state_file:
        dimension = index.scroll(None, 1, with_vectors=True)[0][0].vector.size
        arguments = {"state_file": state_file, "saved": None, "dimension": dimension}
        _learn(empty, "clicks", lambda parts: RankingWorker(parts, index, **arguments))
    there, again = _ranker(settings), _ranker(empty)
    return found + [f"ranker: {name} is not that of a replay" for name in there if there[name] != again.get(name)]


def _learn(settings: Settings, topic: str, make: Callable[[LearningParts], LearningWorker]) -> None:
    """Let a worker learn a whole topic and put down what it knows; it publishes nothing."""
    records = read_topic(settings, topic)
    with closing(LogReader(settings, (topic,), "replay", lambda: ())) as reader:
        worker = make(LearningParts(reader, FakeWriter(), None, settings, StopRequest()))
        for start in range(0, len(records), REPLAY_BATCH):
            worker.learn(records[start : start + REPLAY_BATCH])
        worker.checkpoint(last=True)  # waits for its commit: a client that is closed meanwhile leaves a socket behind


def unlike(calm: Outcome, other: Outcome, story: Story) -> list[str]:
    """Where an outcome differs from that of a calm run, and from what the story planted."""
    found = [
        f"{field.name}: {_where(getattr(calm, field.name), getattr(other, field.name))}"
        for field in fields(Outcome)
        if getattr(calm, field.name) != getattr(other, field.name)
    ]
    needed = {payload.stored for payload, *_ in other.images.values()} - {""}
    if other.pictures != needed:
        found.append(f"pictures that images need: {_where(needed, other.pictures)}")
    if sorted(other.images) != sorted(story.alive):
        found.append(f"images: {_where(set(story.alive), set(other.images))}")
    if other.learned != len(other.examples):
        found.append(f"learned: {other.learned} of {len(other.examples)} examples")
    if other.letters != story.planted:
        found.append(f"letters: planted {story.planted - other.letters}, more {other.letters - story.planted}")
    return found


def _where(calm: Any, other: Any) -> str:
    if isinstance(calm, dict):
        names = [name for name in calm.keys() | other.keys() if calm.get(name) != other.get(name)]
        return f"{len(names)} of {len(calm)} are not those of the calm run, e.g. {sorted(names, key=str)[:5]}"
    if isinstance(calm, set):
        return f"{len(calm - other)} missing, {len(other - calm)} too many"
    return "not those of the calm run"
