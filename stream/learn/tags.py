"""The tags worker: examples.v1 to tag weights that anybody can serve.

In: examples.v1, one partition, totally ordered. Out: snapshots of the tagger, published as deltas several times a
second and whole when the deltas together grow large. State, offset and the high-water mark of every source partition
are one unit (models/tagging/store.py); an example that an ingest worker sent twice is learned once.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from models.errors import CheckpointError, EncoderMismatchError, PoisonError, StorageUnavailableError
from models.tagging.examples import Example, TagOperation
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from stream import metrics
from stream.disk import WRITE_BYTES, check_room
from stream.events.example import decode_example
from stream.events.schema import TagDrifted
from stream.learn.snapshot_chain import SnapshotChain
from stream.log.consume import LogReader, Record
from stream.log.model_versions import ModelPublisher
from stream.log.positions import StoredOffset
from stream.log.produce import LogWriter
from stream.retry import StoppedError, until_available
from stream.settings import Settings

log = logging.getLogger(__name__)

POLL_S = 0.5  # longest wait of one poll; it returns as soon as there are records
MAX_PAUSE_S = 1.0  # between two versions: a new tag is to be served within a second
REFRESH_S = 1.0  # after the last example, once more: a solve in the background may have ended since
THOROUGH_S = 15.0  # between two versions with all tags up to date; those between have new and rare ones
LATE_PAUSE_S = 5.0  # while the worker is behind: a version of old records need not come every second
PUBLISH_SHARE = 0.02  # of the worker's time, at most: a large state is published less often


class OpenTagger:
    """The tagger, its store, and what the stream keeps beside them."""

    def __init__(self, store: TaggerStore, tagger: Tagger, document: dict[str, Any]) -> None:
        self.store = store
        self.tagger = tagger
        self.offsets = [StoredOffset(**offset) for offset in document.get("offsets", [])]
        self.marks: dict[str, int] = dict(document.get("marks", {}))
        self.encoder: str | None = document.get("encoder")
        self.position: int = document.get("position", 0)

    def checkpoint(self) -> None:
        """Make state and offsets durable together."""
        document = {
            "offsets": [asdict(offset) for offset in self.offsets],
            "marks": self.marks,
            "encoder": self.encoder,
            "position": self.position,
        }
        self.store.checkpoint(document)

    def close(self) -> None:
        """Release the store; what was not checkpointed is read again."""
        self.store.close()


def open_tagger(settings: Settings) -> OpenTagger:
    """Open the state under the data directory, empty or where it stands."""
    folder = settings.data_path
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageUnavailableError(
            f"state folder {folder}: {error.strerror}; free space or choose another"
        ) from error
    tagging = settings.tagging
    learner = Tagger(classifier=tagging.classifier, max_tags=tagging.max_tags, backend=tagging.backend)
    store = TaggerStore(folder / "tagger.sqlite", learner)
    tagger, document = store.open()
    return OpenTagger(store, tagger, document)


@dataclass(frozen=True)
class TagsParts:
    """What the tags worker works with."""

    reader: LogReader
    writer: LogWriter
    state: OpenTagger
    publisher: ModelPublisher
    settings: Settings


class TagsWorker:
    """Runs until `stop`; one thread."""

    def __init__(self, parts: TagsParts) -> None:
        self._parts = parts
        self._state = parts.state
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._chain = SnapshotChain()
        self._since_checkpoint = 0
        self._unpublished = 0
        self._publish_s = 0.0
        self._behind_s = 0.0  # how old what was learned last was, beyond what is usual
        self._thorough_at_s = 0.0  # when the next version is to have all tags up to date
        self._refresh_at_s: float | None = 0.0  # when to publish next although nothing new was learned

    def stop(self) -> None:
        """Ask `run` to finish; safe in a signal handler."""
        self._stopping.set()

    def stop_now(self) -> None:
        """Ask `run` to finish although the log may hold more: its broker is gone. From any thread."""
        self._abandoned.set()
        self._stopping.set()

    def run(self, *, drain: bool = False) -> None:
        """Learn until `stop`; with `drain` also until examples.v1 holds nothing unread.

        Raises:
            InfrastructureError: asked to stop while a neighbour was away; the last checkpoint is what counts.
            FatalError: going on would do harm.
        """
        try:
            self._run(drain)
        except StoppedError as stopped:
            if stopped.__cause__ is not None:
                raise stopped.__cause__ from None

    def _run(self, drain: bool) -> None:
        reader, settings = self._parts.reader, self._parts.settings.tagging
        published_s = saved_s = time.monotonic()
        due_at_s = self._refresh_at_s  # when the next version is due
        self._publish()
        while not self._stopping.is_set() or (drain and not self._drained()):
            try:
                wait_s = POLL_S if due_at_s is None else min(max(due_at_s - time.monotonic(), 0.0), POLL_S)
                records = until_available(functools.partial(reader.poll, wait_s), self._stopping, what="examples")
            except StoppedError:
                break
            self._learn(records)
            now_s = time.monotonic()
            longest_s = max(MAX_PAUSE_S, min(self._behind_s, LATE_PAUSE_S))
            pause_s = max(settings.publish_interval_ms / 1000, min(self._publish_s / PUBLISH_SHARE, longest_s))
            due_at_s = published_s + pause_s if self._unpublished else self._refresh_at_s
            if due_at_s is not None and now_s >= due_at_s:
                refresh = not self._unpublished
                self._refresh_at_s = due_at_s = None if refresh else now_s + REFRESH_S
                self._publish(quick=not refresh and now_s < self._thorough_at_s)
                published_s = time.monotonic()
            due = now_s - saved_s >= settings.checkpoint_interval_s
            if self._since_checkpoint and (due or self._since_checkpoint >= settings.checkpoint_examples):
                self._save()
                saved_s = time.monotonic()
        self._save(last=True)  # needs the disk alone; what comes after needs the broker too
        self._publish()

    def _drained(self) -> bool:
        return self._abandoned.is_set() or self._parts.reader.caught_up("examples", 0)

    def _learn(self, records: Sequence[Record]) -> None:
        if not records:
            self._behind_s = 0.0
            return
        self._wait_for_room()
        self._behind_s = time.time() - records[-1].timestamp_ms / 1000 - MAX_PAUSE_S
        examples: list[Example | TagOperation] = []
        for record in records:
            example = self._fresh(record)
            if example is not None:
                examples.append(example)
        if examples:
            before = set(self._state.tagger.operations.by_id)
            self._state.tagger.learn_many(examples, self._state.position)
            self._state.position += len(examples)
            operations = [example for example in examples if isinstance(example, TagOperation)]
            self._report(operations, before)
            if operations:
                self._thorough_at_s = 0.0  # whoever operates on tags sees the outcome at once, whole
            self._tell_drifts()
        metrics.EXAMPLES.labels("learned").inc(len(examples))
        metrics.EXAMPLES.labels("repeated").inc(len(records) - len(examples))
        self._state.offsets = [self._parts.reader.stored_offset("examples", 0, records[-1].offset + 1)]
        self._since_checkpoint += len(records)
        self._unpublished += len(examples)

    def _tell_drifts(self) -> None:
        """Post what drifted, acknowledged before the checkpoint that knows of it: told at least once."""
        writer = self._parts.writer
        events = []
        for tag, drifted in self._state.tagger.take_drifts():
            log.warning("tag %r drifted: loss %.2f, was %.2f", tag, drifted.loss_after, drifted.loss_before)
            metrics.DRIFTS.inc()
            before, after = round(drifted.loss_before, 4), round(drifted.loss_after, 4)
            events.append(TagDrifted(tag=tag, learned=drifted.learned, loss_before=before, loss_after=after))

        def post() -> None:
            for event in events:
                writer.send_event(event, event_id=f"drift/{event.tag}/{event.learned}")
            writer.flush()

        if events:
            until_available(post, self._stopping, what="drift")

    def _report(self, operations: Sequence[TagOperation], known: set[str]) -> None:
        """Count what came of operations, and say why one was refused; `known` were carried out before."""
        for operation in operations:
            applied = self._state.tagger.operations.by_id[operation.operation_id]
            outcome = "repeated" if operation.operation_id in known else "refused" if applied.refused else "done"
            known.add(operation.operation_id)
            metrics.TAG_OPERATIONS.labels(operation.kind, outcome).inc()
            if outcome == "refused":
                log.warning("%s %r refused: %s", operation.kind, operation.operation_id, applied.outcome)

    def _fresh(self, record: Record) -> Example | TagOperation | None:
        """The example or operation of a record, None if it was learned before.

        Raises:
            CheckpointError: the record is not an example; somebody else writes our internal topic.
            EncoderMismatchError: its vector was made by another encoder than the state's.
        """
        try:
            sourced = decode_example(record.value, record.timestamp_ms)
        except PoisonError as error:
            raise CheckpointError(f"examples.v1 offset {record.offset}: {error}") from error
        source = f"{sourced.topic}/{sourced.partition}"
        if sourced.position <= self._state.marks.get(source, 0):
            return None
        self._state.marks[source] = sourced.position
        if self._state.encoder is None:
            self._state.encoder = sourced.encoder
        elif self._state.encoder != sourced.encoder:
            raise EncoderMismatchError(
                f"examples.v1 offset {record.offset}: vector of encoder {sourced.encoder}, expected "
                f"{self._state.encoder}; learn vectors of another encoder in another data directory"
            )
        return sourced.example

    def _publish(self, *, quick: bool = False) -> None:
        started_s = time.thread_time()  # not the wall's: waiting for a busy core is no work
        snapshot = self._state.tagger.snapshot(partial=quick)
        self._unpublished = 0
        content, kind = self._chain.encode(snapshot)
        publish = functools.partial(self._parts.publisher.publish, snapshot.version, content, self._state.offsets, kind)
        until_available(publish, self._stopping, what="models")
        if not quick:
            self._thorough_at_s = time.monotonic() + THOROUGH_S
        self._publish_s = time.thread_time() - started_s
        metrics.TAGS_KNOWN.set(snapshot.known)
        log.debug("tagger version %s, %s, %s tags, %s bytes", snapshot.version, kind, snapshot.known, len(content))

    def _wait_for_room(self) -> None:
        """A disk that is full in the middle of a transaction takes back everything since the last checkpoint."""
        room = functools.partial(check_room, self._parts.settings.data_path, WRITE_BYTES)
        until_available(room, self._stopping, what="tagger state")

    def _save(self, *, last: bool = False) -> None:
        self._wait_for_room()
        self._state.checkpoint()
        self._parts.reader.commit_offsets(self._state.offsets, wait=last)
        metrics.show_quality(asdict(self._state.tagger.quality()))
        metrics.TAGS_COLD.set(len(self._state.tagger.cold_tags))
        self._since_checkpoint = 0
