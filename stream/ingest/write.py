"""The last step of a batch: onto the state of its images, then out - examples and dead letters, pictures, the index.

In: prepared items, each partition in log order. Out: new bytes first, then acknowledged examples and dead letters, then
old bytes are gone, then images, then the offsets that cover them. A neighbour that is away is waited for. Raises
CircuitBreakerError before anything of the batch is written.
"""

import contextlib
import functools
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from models.errors import InternalError, MekikiError, PoisonError, PolicyError
from models.tagging.examples import Example, TagOperation
from stream import metrics
from stream.events.example import SourcedExample, encode_example, example_headers
from stream.events.schema import ImagePosted, TagOperationPosted
from stream.index.payload import IndexRecord
from stream.ingest.apply import Applied, apply_event
from stream.ingest.batch import Batch, Item
from stream.ingest.image_tags import operation_of
from stream.ingest.parts import Ingest
from stream.ingest.slow_lane import SlowLane
from stream.ingest.waiting import WaitingEvents
from stream.ingest.waits import BYTES_HEADER, events_of
from stream.log.dead_letter import CircuitBreaker, send_dead_letters
from stream.log.reading.positions import epoch_of
from stream.log.record import Record
from stream.pictures.store import picture_name
from stream.retry import until_available

log = logging.getLogger(__name__)
T = TypeVar("T")

Bytes: TypeAlias = tuple[str, str]  # of a picture: the name in our own store, or the dataref; the other is empty
RECENT_RECORDS = 2_048  # remembered after they were written, 4 KB each


@dataclass
class Outcome:
    """What comes of a batch.

    Attributes:
        states: images as the batch finds and changes them, by id.
        changed: those that it changed.
        examples: with the records that they come from.
        last: of each partition, where its last example comes from.
        dead: records, or parts of them, that nothing can be done with.
        astray: records that came to another partition than their home, and their home.
        dropped: bytes that their image does not need any more.
    """

    states: dict[str, IndexRecord]
    changed: dict[str, IndexRecord] = field(default_factory=dict)
    examples: list[tuple[Record, bytes]] = field(default_factory=list)
    last: dict[tuple[str, int], tuple[str, int, int]] = field(default_factory=dict)
    dead: list[tuple[Record, PoisonError]] = field(default_factory=list)
    astray: list[tuple[Record, int]] = field(default_factory=list)
    dropped: set[Bytes] = field(default_factory=set)


class Write:
    """Applies batches, one after another, on one thread."""

    def __init__(self, parts: Ingest, slow_lane: SlowLane, aborting: threading.Event) -> None:
        ingest = parts.settings.ingest
        self._parts = parts
        self._slow_lane = slow_lane
        self._breaker = CircuitBreaker(ingest.breaker_share, ingest.breaker_records, armed=ingest.breaker_armed)
        self._waiting = WaitingEvents(parts.index, parts.writer, ingest.waiting_limit)
        self._aborting = aborting
        self._recent: OrderedDict[str, IndexRecord] = OrderedDict()
        self._forget = threading.Event()  # partitions changed hands: what is remembered may be old

    def forget(self) -> None:
        """Remember nothing of before: another worker may have written since. From any thread."""
        self._forget.set()

    def apply(self, batch: Batch) -> None:
        """Make the batch durable; when this returns, so are its offsets."""
        if self._forget.is_set():
            self._forget.clear()
            self._recent.clear()
            self._waiting.clear()
        self._retry(self._waiting.load, "index")
        outcome = Outcome(self._retry(lambda: self._states(batch), "index"))
        for item in batch.items:
            poison = item.poison or self._apply_item(item, outcome)
            if item.home is not None:
                outcome.astray.append((item.record, item.home))
            if poison is not None:
                outcome.dead.append((item.record, poison))
            outcome_of = "unreadable" if item.record.lost else "applied" if poison is None else poison.reason
            metrics.RECORDS.labels(item.record.topic, outcome_of).inc()
            self._breaker.count(poison is not None)
        changed = outcome.changed
        self._retry(self._parts.pictures.flush, "pictures")
        self._retry(lambda: self._send(outcome), "examples")
        self._remove_pictures(outcome)
        self._retry(lambda: self._parts.index.write(list(changed.values()), batch.offsets), "index")
        self._remember(changed)
        for record in changed.values():
            self._waiting.put(record)
            self._slow_lane.put(record)
        self._retry(self._waiting.end_oldest, "images")
        metrics.IMAGES_INDEXED.inc(batch.images)
        log.debug("batch of %s records, %s images, %s dead", len(batch.items), batch.images, len(outcome.dead))

    def _states(self, batch: Batch) -> dict[str, IndexRecord]:
        """The images of a batch as they are. Since its epoch is over, one may have had another owner."""
        epochs: dict[str, int] = {}
        for item in batch.items:
            image_id = getattr(item.envelope and item.envelope.event, "image_id", None)
            if image_id is not None:
                epochs[image_id] = epoch_of(item.record.position)
        known = ((i, self._recent[i]) for i in epochs if i in self._recent)
        states = {i: state for i, state in known if epoch_of(state.position) == epochs[i]}
        unknown = sorted(epochs.keys() - states.keys())
        return states | (self._parts.index.fetch(unknown, with_vectors=True, with_raw=True) if unknown else {})

    def _remember(self, changed: dict[str, IndexRecord]) -> None:
        """Keep what was just written: tags come soon after their image. Partitions have one owner at a time."""
        for image_id, record in changed.items():
            self._recent[image_id] = record
            self._recent.move_to_end(image_id)
        while len(self._recent) > RECENT_RECORDS:
            self._recent.popitem(last=False)

    def _apply_item(self, item: Item, outcome: Outcome) -> PoisonError | None:
        """Apply one item; what it makes us raise is its fault."""
        if item.envelope is None:
            return None
        event, record = item.envelope.event, item.record
        try:
            if isinstance(event, TagOperationPosted):
                self._add_example(outcome, operation_of(event, item.envelope, record), record)
                return None
            state = outcome.states.get(getattr(event, "image_id", ""))
            applied = apply_event(state, item.envelope, record, item.picture)
            if applied is not None:
                self._take(item, state, applied, outcome)
        except PoisonError as error:
            return error
        except MekikiError:
            raise
        except Exception as error:
            log.exception("record %s %s/%s", record.topic, record.partition, record.offset)
            return InternalError.of(error)
        return None

    def _take(self, item: Item, state: IndexRecord | None, applied: Applied, outcome: Outcome) -> None:
        after = applied.record
        if applied.example is not None:
            self._add_example(outcome, applied.example, item.record)
        for letter, poison in applied.dead:
            outcome.dead.append((self._whole(letter), poison))
        needed, event = _bytes_of(after), item.envelope and item.envelope.event
        outcome.dropped |= (set() if state is None else _bytes_of(state)) - needed
        if isinstance(event, ImagePosted) and event.dataref:
            outcome.dropped |= {("", event.dataref)} - needed  # a retry's upload, of a post that is known already
        outcome.states[after.image_id] = outcome.changed[after.image_id] = after
        name = picture_name(after.image_id, item.record.position)
        if (name, "") in needed and item.content is not None:
            self._retry(lambda: self._parts.pictures.put(item.content or b"", name), "pictures")

    def _whole(self, record: Record) -> Record:
        """A record as it was posted, where it waited without its bytes."""
        if BYTES_HEADER not in dict(record.headers):
            return record
        name = picture_name((record.key or b"").decode(), record.position)
        headers = tuple(header for header in record.headers if header[0] != BYTES_HEADER)
        with contextlib.suppress(FileNotFoundError):
            content = self._retry(lambda: self._parts.pictures.get(name), "pictures")
            return replace(record, value=content, headers=headers)
        return replace(record, headers=headers)

    def _add_example(self, outcome: Outcome, example: Example | TagOperation, record: Record) -> None:
        source = (record.topic, record.partition, record.position)
        after = outcome.last.get(source[:2])
        value = encode_example(SourcedExample(example, *source, self._parts.encoder.version, after))
        limit = self._parts.settings.kafka.max_record_bytes
        if len(value) > limit:
            raise PolicyError(f"example of {len(value)} bytes: expected at most {limit}; apply fewer tags at once")
        outcome.examples.append((record, value))
        outcome.last[source[:2]] = source

    def _remove_pictures(self, outcome: Outcome) -> None:
        """Take bytes away that no image needs after this batch. The index does not know of the batch yet."""
        kept = set().union(*map(_bytes_of, outcome.changed.values()))
        for name, dataref in sorted(outcome.dropped - kept):
            if name:
                self._retry(functools.partial(self._parts.pictures.remove, name), "pictures")
            else:
                self._retry(functools.partial(self._parts.datarefs.forget, dataref), "pictures")
        self._retry(self._parts.pictures.flush, "pictures")

    def _send(self, outcome: Outcome) -> None:
        writer = self._parts.writer
        for record, value in outcome.examples:
            headers = example_headers(record.topic, record.partition, record.position)
            writer.send("examples", record.key, value, headers, timestamp_ms=record.time_ms)
        for record, home in outcome.astray:
            headers, at_ms = list(record.headers), record.time_ms
            writer.send(record.topic, record.key, record.value, headers, partition=home, timestamp_ms=at_ms)
        if outcome.examples or outcome.dead or outcome.astray:
            send_dead_letters(writer, outcome.dead)

    def _retry(self, attempt: Callable[[], T], what: str) -> T:
        return until_available(attempt, self._aborting, what=what)


def _bytes_of(record: IndexRecord) -> set[Bytes]:
    """The bytes that an image needs."""
    payload = record.payload
    found = set() if payload is None else {(payload.stored, "" if payload.stored else payload.uri)}
    for one in events_of(record) if record.undecoded else []:
        if one.is_picture:
            found.add((one.stored, "" if one.stored else getattr(one.envelope.event, "dataref", "")))
    return found
