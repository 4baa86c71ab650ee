"""What a world has to end as: a function of its log, computed in peace, one event after another.

Out: images, examples and dead letters as they follow from the events of each partition in order, by the pure functions
of the product. Knows of no batch, no owner, no offset, and of no neighbour but the log.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.errors import PoisonError
from models.ranking.ranknet import Ranker
from models.tagging.examples import Example, TagOperation
from models.tagging.tagger import Tagger
from stream.events.schema import TagOperationPosted
from stream.index.payload import IndexRecord
from stream.ingest.apply import Applied, apply_event
from stream.ingest.batch import Batch, Item
from stream.ingest.image_tags import operation_of
from stream.ingest.parts import Ingest
from stream.ingest.prepare import Prepare
from stream.learn.ranking import RankingWorker
from stream.learn.worker import LearningParts
from stream.log.dead_letter import ORIGIN, REASON
from stream.log.reading.growth import home_of
from stream.log.reading.positions import epoch_of
from stream.log.record import Record
from stream.settings import Settings
from stream.stopping import StopRequest
from tests.contract.dict_index import DictIndex, Points
from tests.fakes import D, FakeDecoder, FakeEncoder
from tests.simulation.neighbours.broker import Broker, Place
from tests.simulation.neighbours.readers import SoloReader

Source = tuple[str, int, int]  # topic, partition, position
Letter = tuple[str, str]  # topic and origin of a dead letter


@dataclass
class Expected:
    """See the module.

    Attributes:
        images: as the index is to hold them.
        examples: what each record of the log gives the learner, partition after partition.
        dead: reasons of the dead letters.
    """

    images: dict[str, IndexRecord] = field(default_factory=dict)
    examples: dict[Source, Example | TagOperation] = field(default_factory=dict)
    dead: dict[Letter, str] = field(default_factory=dict)

    def add_dead(self, record: Record, error: PoisonError) -> None:
        """A record, or a part of one, that nothing can be done with."""
        origin = f"{record.partition}/{record.position}/{record.offset}" + (f"/{record.part}" if record.part else "")
        self.dead[f"{record.topic}.dlq", origin] = error.reason


class _Here:
    """In place of the broker's and the index's callers: a process in a world without faults."""

    name = "model"

    def __init__(self, broker: Broker) -> None:
        self._sizes = broker.sizes

    def home(self, record: Record) -> int:
        """See LogReader.home."""
        if record.topic != "images" or not record.key:
            return record.partition
        return home_of(record.key, self._sizes[epoch_of(record.position)])

    def moment(self, write: str) -> None:
        """Nothing happens."""

    def check(self, neighbour: str) -> None:
        """Nobody is away."""

    def is_set(self) -> bool:
        return False

    def uri(self, name: str) -> str:
        return f"pictures:{name}"


class _Letters:
    """A writer that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, bytes]]] = []

    def send(self, topic: str, key: object, value: object, headers: Any) -> None:
        self.sent.append((topic, dict(headers)))

    def flush(self) -> None:
        """They are kept already."""


def expected_of(broker: Broker, settings: Settings) -> Expected:
    """What follows from images.v1 and operations.v1: one epoch after the other, in each its partitions in order."""
    here: Any = _Here(broker)
    decoders = FakeDecoder(), FakeDecoder(patient=True)
    prepare = Prepare(Ingest(here, here, here, FakeEncoder(), *decoders, here, here, settings), here)  # type: ignore[arg-type]
    expected = Expected()
    for epoch in range(len(broker.sizes)):
        for place in broker.places("images", "operations"):
            records = [record for record in broker.read(place) if epoch_of(record.position) == epoch]
            batch = Batch([Item(record) for record in records], [], 0)
            prepare.decode(batch)
            prepare.embed(batch)
            for item in batch.items:
                _add(item, expected)
    return expected


def _add(item: Item, expected: Expected) -> None:
    record, envelope = item.record, item.envelope
    source = (record.topic, record.partition, record.position)
    try:
        if item.poison is not None:
            raise item.poison
        if envelope is None:
            return  # it stands in its home too, or is a mark
        if isinstance(envelope.event, TagOperationPosted):
            expected.examples[source] = operation_of(envelope.event, envelope, record)
            return
        state = expected.images.get(getattr(envelope.event, "image_id", ""))
        applied = apply_event(state, envelope, record, item.picture)
    except PoisonError as error:
        expected.add_dead(record, error)
        return
    if applied is not None:
        _take(applied, source, expected)


def _take(applied: Applied, source: Source, expected: Expected) -> None:
    expected.images[applied.record.image_id] = applied.record
    if applied.example is not None:
        expected.examples[source] = applied.example
    for record, error in applied.dead:
        expected.add_dead(record, error)


def letters_in(broker: Broker, *topics: str, by: str = ORIGIN) -> dict[Letter, str]:
    """The dead letters in the log, as a reader counts them that drops repeats: by the header that tells them apart."""
    found: dict[Letter, str] = {}
    for place in broker.places(*topics):
        for record in broker.read(place):
            headers = dict(record.headers)
            found[place[0], headers[by].decode()] = headers[REASON].decode()
    return found


def learned_from(expected: Expected) -> Tagger:
    """A tag learner that read each example once, and operations last."""
    tagger = Tagger(dimension=D, backend="numpy")
    examples = list(expected.examples.values())
    tagger.learn_many(sorted(examples, key=lambda one: isinstance(one, TagOperation)), 0)
    return tagger


def sums_of(tagger: Tagger) -> tuple[bytes, int, dict[str, tuple[int, bytes]], dict[str, str]]:
    """What a learner knows that no order changes: sums, by the names of tags, and what came of operations."""
    sums, names = tagger.statistics.sums, tagger.statistics.vocabulary.names
    sums.grow(len(names))
    tags = {name: (int(sums.counts[row]), sums.tags[row].tobytes()) for row, name in enumerate(names)}
    outcomes = {name: operation.outcome for name, operation in tagger.operations.by_id.items()}
    return sums.gram.tobytes() + sums.total.tobytes(), sums.images, tags, outcomes


def ranked_from(broker: Broker, points: Points, settings: Settings) -> tuple[dict[str, Any], dict[Letter, str]]:
    """Facts and arrays of a ranker that read clicks.v1 at once, and its dead letters by the ids of their events."""
    here: Any = _Here(broker)
    stopping, letters, state = StopRequest(), _Letters(), _State()
    parts: Any = (SoloReader(broker, here, "clicks", ()), letters, None, settings, stopping)
    worker = RankingWorker(
        LearningParts(*parts), DictIndex(points), state_file=state, saved=None, dimension=D  # type: ignore[arg-type]
    )  # fmt: skip
    place: Place = ("clicks", 0)
    worker.learn(broker.read(place))
    worker.checkpoint()
    dead = {(topic, headers["ce_id"].decode()): headers[REASON].decode() for topic, headers in letters.sent}
    return state.saved, dead


class _State:
    """See StateFile: keeps what is saved."""

    saved: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed

    def save(self, facts: dict[str, Any], arrays: dict[str, Any]) -> None:
        self.saved = comparable(facts, arrays)


def comparable(facts: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """A ranker's state as values that can be compared, to the bit; but for the order of what is missing."""
    clicks, ranker = facts["clicks"], Ranker.from_state(arrays, facts["ranker"])
    again, document = ranker.state()
    vectors, pairs = again.pop("reservoir_vectors"), again.pop("reservoir_pairs")
    again["pairs"] = vectors[pairs] if len(pairs) else np.zeros(0)
    clicks = clicks | {"missing": sorted(clicks["missing"])}
    known = {"ranker": document, "clicks": json.dumps(clicks), "offsets": facts["offsets"]}
    return known | {name: array.tobytes() for name, array in again.items()}
