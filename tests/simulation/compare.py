"""A world that came to rest, beside what follows from its log.

Out: a sentence for each thing that is not as it should be.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from models.state_file import StateFile
from models.tagging.examples import Example, TagOperation
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from stream.events.example import decode_example
from stream.index.payload import IndexRecord
from stream.learn.ranking import STATE_FORMAT
from stream.settings import Settings
from tests.contract.dict_index import DictIndex, Points
from tests.fakes import D
from tests.simulation.model import (
    Expected,
    comparable,
    expected_of,
    learned_from,
    letters_in,
    ranked_from,
    sums_of,
)
from tests.simulation.neighbours.broker import Broker
from tests.simulation.neighbours.disk import Disk
from tests.simulation.producer import Producer


class AtRest(Protocol):
    """What is looked at of a world."""

    broker: Broker
    points: Points
    disk: Disk
    producer: Producer
    settings: Settings

    def state_path(self, name: str) -> Path:
        """Where a learner kept its state."""


def differences(world: AtRest) -> list[str]:
    """What is not as it should be."""
    expected = expected_of(world.broker, world.settings)
    return [
        *_of_images(world, expected),
        *_of_pictures(world, expected),
        *_of_examples(world, expected),
        *_of_dead_letters(world, expected),
        *_of_planted(world),
        *_of_tagger(world, expected),
        *_of_ranker(world),
    ]


def _unlike(what: str, found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Iterator[str]:
    for name in sorted(found.keys() | expected.keys(), key=str):
        if found.get(name) != expected.get(name):
            yield f"{what} {name}: found {found.get(name)}, expected {expected.get(name)}"


def _of_images(world: AtRest, expected: Expected) -> Iterator[str]:
    index = DictIndex(world.points)
    ids = [point.payload["image_id"] for point in world.points.by_id.values() if "image_id" in point.payload]
    found = index.fetch(ids, with_vectors=True, with_raw=True)
    yield from (f"image {name}: its picture is still to be decoded" for name, one in found.items() if one.undecoded)
    yield from _unlike("image", *({name: _flat(one) for name, one in of.items()} for of in (found, expected.images)))
    ends = {place: world.broker.end(place) for place in world.broker.places("images", "operations")}
    offsets = dict.fromkeys(ends, 0) | {(at.topic, at.partition): at.offset for at in index.offsets()}
    yield from _unlike("offset", offsets, ends)


def _flat(record: IndexRecord) -> tuple[object, ...]:
    vector = None if record.vector is None else record.vector.tobytes()
    return record.position, record.payload, record.seen, record.deleted, record.waiting, record.undecoded, vector


def _of_pictures(world: AtRest, expected: Expected) -> Iterator[str]:
    needed = {one.payload.stored: one.payload.sha256 for one in expected.images.values() if one.payload is not None}
    found = {name: hashlib.sha256(content).hexdigest() for name, content in world.disk.pictures().items()}
    yield from _unlike("bytes", found, needed)


def _of_examples(world: AtRest, expected: Expected) -> Iterator[str]:
    sent: set[tuple[str, int, int]] = set()
    for record in world.broker.read(("examples", 0)):
        one = decode_example(record.value, record.timestamp_ms)
        source = (one.topic, one.partition, one.position)
        sent.add(source)
        if source not in expected.examples or _content(one.example) != _content(expected.examples[source]):
            yield f"example of {source}: found {_content(one.example)}"
    for source in expected.examples.keys() - sent:
        yield f"example of {source}: missing"


def _content(example: Example | TagOperation) -> object:
    if isinstance(example, TagOperation):
        return example
    vector = None if example.vector is None else example.vector.tobytes()
    return (
        example.image_id, vector, example.added, example.removed, example.complete, example.deleted, example.said,
    )  # fmt: skip


def _of_dead_letters(world: AtRest, expected: Expected) -> Iterator[str]:
    found = letters_in(world.broker, "images.dlq", "operations.dlq")
    yield from _unlike("dead letter", found, expected.dead)


def _of_planted(world: AtRest) -> Iterator[str]:
    """What the producer knows to be bad, wherever it stands in the log."""
    letters = letters_in(world.broker, "images.dlq", "operations.dlq", "clicks.dlq", by="ce_id")
    found = {event_id: reason for (_, event_id), reason in letters.items() if event_id in world.producer.planted}
    yield from _unlike("planted event", found, world.producer.planted)


def _of_tagger(world: AtRest, expected: Expected) -> Iterator[str]:
    calm = learned_from(expected)
    store = TaggerStore(world.state_path("tagger"), Tagger(dimension=D, backend="numpy"))
    tagger, _ = store.open()
    (whole, images, tags, outcomes), (calm_whole, calm_images, calm_tags, calm_outcomes) = map(sums_of, (tagger, calm))
    store.close()
    calm.close()
    if (whole, images) != (calm_whole, calm_images):
        yield f"sums over {images} images: expected others, over {calm_images}"
    yield from _unlike("sums of tag", tags, calm_tags)
    yield from _unlike("operation", outcomes, calm_outcomes)


def _of_ranker(world: AtRest) -> Iterator[str]:
    expected, dead = ranked_from(world.broker, world.points, world.settings)
    yield from _unlike("dead letter", letters_in(world.broker, "clicks.dlq", by="ce_id"), dead)
    file = StateFile(world.state_path("ranker"), format_number=STATE_FORMAT)
    saved = file.load()
    file.close()
    found = {} if saved is None else comparable(*saved)
    for name in expected:
        if found.get(name) != expected[name]:
            yield f"ranker: {name} is not as after a replay of the clicks"
