"""The last step of a batch: onto the state of its images, then out - examples and dead letters, pictures, the index.

In: prepared items in log order. Out: acknowledged examples and dead letters first, then images and offsets in one index
write. A neighbour that is away is waited for. Raises CircuitBreakerError before anything of the batch is written.
"""

import functools
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from models.errors import PoisonError
from models.tagging.examples import Example, TagOperation
from stream import metrics
from stream.events.example import SourcedExample, encode_example, example_headers
from stream.events.schema import TagOperationPosted
from stream.index.contract import VectorIndex
from stream.index.payload import ImagePayload, IndexRecord
from stream.ingest.apply import apply_event, operation_of
from stream.ingest.batch import Batch, Item
from stream.log.dead_letter import CircuitBreaker, dead_letter_headers
from stream.log.produce import LogWriter
from stream.log.record import Record
from stream.pictures.dataref import DatarefReader
from stream.pictures.store import PictureStore
from stream.retry import until_available

log = logging.getLogger(__name__)
T = TypeVar("T")

RECENT_RECORDS = 2_048  # remembered after they were written, 4 KB each


class Write:
    """Applies batches, one after another, on one thread."""

    def __init__(
        self,
        index: VectorIndex,
        writer: LogWriter,
        pictures: PictureStore,
        datarefs: DatarefReader,
        *,
        breaker: CircuitBreaker,
        encoder_version: str,
        aborting: threading.Event,
    ) -> None:
        self._index = index
        self._writer = writer
        self._pictures = pictures
        self._datarefs = datarefs
        self._breaker = breaker
        self._encoder_version = encoder_version
        self._aborting = aborting
        self._recent: OrderedDict[str, IndexRecord] = OrderedDict()
        self._forget = threading.Event()  # partitions changed hands: what is remembered may be old

    def forget(self) -> None:
        """Remember nothing of before: another worker may have written since. From any thread."""
        self._forget.set()

    def apply(self, batch: Batch) -> None:
        """Make the batch durable; when this returns, so are its offsets."""
        states = self._retry(lambda: self._states(batch), "index")
        changed: dict[str, IndexRecord] = {}
        examples: list[tuple[Record, bytes]] = []
        dead: list[tuple[Record, PoisonError]] = []
        dropped: dict[str, str] = {}
        for item in batch.items:
            poison = item.poison or self._apply_item(item, states, changed, examples, dropped)
            if poison is not None:
                dead.append((item.record, poison))
            metrics.RECORDS.labels(item.record.topic, "applied" if poison is None else poison.reason).inc()
            self._breaker.count(poison is not None)
        self._remove_pictures(dropped, changed)
        self._retry(self._pictures.flush, "pictures")
        self._retry(lambda: self._send(examples, dead), "examples")
        self._retry(lambda: self._index.write(list(changed.values()), batch.offsets), "index")
        self._remember(changed)
        metrics.IMAGES_INDEXED.inc(batch.images)
        log.debug("batch of %s records, %s images, %s dead", len(batch.items), batch.images, len(dead))

    def _states(self, batch: Batch) -> dict[str, IndexRecord]:
        if self._forget.is_set():
            self._forget.clear()
            self._recent.clear()
        ids = {getattr(item.envelope.event, "image_id", "") for item in batch.items if item.envelope is not None} - {""}
        states = {i: self._recent[i] for i in ids if i in self._recent}
        unknown = sorted(ids - states.keys())
        return states | (self._index.fetch(unknown, with_vectors=True) if unknown else {})

    def _remember(self, changed: dict[str, IndexRecord]) -> None:
        """Keep what was just written: tags come soon after their image. Partitions have one owner at a time."""
        for image_id, record in changed.items():
            self._recent[image_id] = record
            self._recent.move_to_end(image_id)
        while len(self._recent) > RECENT_RECORDS:
            self._recent.popitem(last=False)

    def _apply_item(
        self,
        item: Item,
        states: dict[str, IndexRecord],
        changed: dict[str, IndexRecord],
        examples: list[tuple[Record, bytes]],
        dropped: dict[str, str],
    ) -> PoisonError | None:
        """Apply one item; `dropped` gets the bytes that its image does not need any more, by URI."""
        if item.envelope is None:
            return None
        event = item.envelope.event
        image_id: str = getattr(event, "image_id", "")
        state = states.get(image_id)
        try:
            if isinstance(event, TagOperationPosted):
                self._add_example(examples, operation_of(event), item.record)
                return None
            applied = apply_event(state, item.envelope, item.record, item.image)
        except PoisonError as error:
            return error
        if applied is None:
            return None
        kept = applied.record.payload
        if state is not None and state.payload is not None and (kept is None or kept.sha256 != state.payload.sha256):
            dropped[state.payload.uri] = state.payload.sha256
        self._keep_picture(item, kept)
        states[image_id] = changed[image_id] = applied.record
        if applied.example is not None:
            self._add_example(examples, applied.example, item.record)
        return None

    def _add_example(
        self, examples: list[tuple[Record, bytes]], example: Example | TagOperation, record: Record
    ) -> None:
        before = examples[-1][0] if examples else None
        after = None if before is None else (before.topic, before.partition, before.position)
        source = (record.topic, record.partition, record.position)
        sourced = SourcedExample(example, *source, self._encoder_version, after)
        examples.append((record, encode_example(sourced)))

    def _keep_picture(self, item: Item, kept: ImagePayload | None) -> None:
        """Put inline bytes down if the image has them now; a producer's retry after a deletion brings nothing back."""
        content = item.content
        if item.image is None or content is None or getattr(item.envelope and item.envelope.event, "dataref", None):
            return
        sha256 = item.image.payload.sha256
        if kept is not None and kept.sha256 == sha256:
            self._retry(lambda: self._pictures.put(content, sha256), "pictures")

    def _remove_pictures(self, dropped: dict[str, str], changed: dict[str, IndexRecord]) -> None:
        """Take bytes away that no image has after this batch. The index does not know of the batch yet."""
        kept = {record.payload.sha256 for record in changed.values() if record.payload is not None}
        for uri, sha256 in dropped.items():
            if sha256 not in kept and not self._others_have(sha256, changed):
                self._retry(functools.partial(self._pictures.remove, sha256), "pictures")
                self._retry(functools.partial(self._datarefs.forget, uri), "pictures")

    def _others_have(self, sha256: str, changed: dict[str, IndexRecord]) -> bool:
        hits = self._retry(lambda: self._index.find_sha256(sha256, len(changed) + 1), "index")
        return any(hit.image_id not in changed for hit in hits)

    def _send(self, examples: list[tuple[Record, bytes]], dead: list[tuple[Record, PoisonError]]) -> None:
        writer = self._writer
        for record, value in examples:
            headers = example_headers(record.topic, record.partition, record.position)
            writer.send("examples", record.key, value, headers, timestamp_ms=record.timestamp_ms)
        for record, poison in dead:
            log.warning("dead letter from %s %s/%s: %s", record.topic, record.partition, record.offset, poison)
            writer.send(f"{record.topic}.dlq", record.key, record.value, dead_letter_headers(record, poison))
        if examples or dead:
            writer.flush()

    def _retry(self, attempt: Callable[[], T], what: str) -> T:
        return until_available(attempt, self._aborting, what=what)
