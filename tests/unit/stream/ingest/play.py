"""A list of log records, applied in order to the state of images."""

from models.errors import PoisonError
from models.quantise import quantise
from stream.events.codec import decode
from stream.events.schema import ImageDecoded, ImagePosted
from stream.index.payload import EmbeddedImage
from stream.ingest.apply import apply_event
from stream.ingest.waits import Undecoded, picture_of
from tests.fakes import FakeEncoder, payload, unit


def embedded(content: bytes) -> EmbeddedImage:
    """As decoding and embedding would make it: a function of the bytes."""
    return EmbeddedImage(quantise(unit(content[-1])[None])[0], payload(sha256=content.hex().rjust(64, "0")))


def play(records, states=None, *, slow=False):
    """Apply records in order: the states after them, examples by where they came from, and the reasons of the dead.

    Where pictures are `slow` they are there when the records say that they are decoded.
    """
    states, examples, dead = dict(states or {}), {}, []
    for record in records:
        envelope = decode(record.key, record.value, record.headers)
        event = envelope.event
        image = None
        if isinstance(event, ImagePosted):
            image = Undecoded(event.content.hex().rjust(64, "0")) if slow else embedded(event.content)
        elif isinstance(event, ImageDecoded):
            image = picture_of(event, FakeEncoder())
        try:
            applied = apply_event(states.get(event.image_id), envelope, record, image)
        except PoisonError as error:
            dead.append(error.reason)
            continue
        if applied is not None:
            dead += [error.reason for _, error in applied.dead]
            states[event.image_id] = applied.record
            if applied.example is not None:
                examples[record.topic, record.position] = flat_example(applied.example)
    return states, examples, dead


def flat_example(example):
    vector = None if example.vector is None else example.vector.tobytes()
    return (
        example.image_id, vector, example.added, example.removed, example.complete, example.deleted, example.revoked,
        example.said,
    )  # fmt: skip
