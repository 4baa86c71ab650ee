"""The tags worker: examples.v1 to tag weights that anybody can serve.

In: examples.v1, one partition, totally ordered. Out: snapshots of the tagger, published as deltas several times a
second and whole when a delta would be large. State, offset and the high-water mark of every source partition
are one unit (models/tagging/store.py); an example that an ingest worker sent twice is learned once.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict

from models.tagging.examples import TagOperation
from stream import metrics
from stream.disk import WRITE_BYTES, check_room
from stream.events.schema import TagDrifted
from stream.learn.refresh import MAX_PAUSE_S, RefreshSchedule
from stream.learn.snapshot_encoder import SnapshotEncoder
from stream.learn.tagger_state import OpenTagger
from stream.learn.worker import LearningParts, LearningWorker
from stream.log.record import Record

log = logging.getLogger(__name__)


class TagsWorker(LearningWorker):
    """See the module."""

    def __init__(self, parts: LearningParts, state: OpenTagger) -> None:
        super().__init__(parts, "examples", parts.settings.tagging.checkpoint_interval_s)
        self._state = state
        self._encoder = SnapshotEncoder()
        self._refresh = RefreshSchedule(parts.settings.tagging.publish_interval_ms / 1000)
        self._unpublished = 0  # examples learned since the last version
        self._behind_s = 0.0  # how old what was learned last was, beyond what is usual

    def learn(self, records: Sequence[Record]) -> None:
        """See LearningWorker.learn."""
        if not records:
            self._behind_s = 0.0
            return
        self._wait_for_room()
        self._behind_s = time.time() - records[-1].timestamp_ms / 1000 - MAX_PAUSE_S
        examples = [example for record in records if (example := self._state.new_of(record)) is not None]
        if examples:
            before = set(self._state.tagger.operations.by_id)
            self._state.learn(examples)
            operations = [example for example in examples if isinstance(example, TagOperation)]
            self._report(operations, before)
            if operations:
                self._refresh.full_next()
            self._post_drifts()
        metrics.EXAMPLES.labels("learned").inc(len(examples))
        metrics.EXAMPLES.labels("repeated").inc(len(records) - len(examples))
        self._state.offsets = [self.parts.reader.stored_offset("examples", 0, records[-1].offset + 1)]
        self.unsaved += len(records)
        self._unpublished += len(examples)

    def _post_drifts(self) -> None:
        """Post what drifted, acknowledged before the checkpoint that knows of it: posted at least once."""
        writer = self.parts.writer
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
            self.retry("drift", post)

    def _report(self, operations: Sequence[TagOperation], known: set[str]) -> None:
        """Count what came of operations, and say why one was refused; `known` were carried out before."""
        for operation in operations:
            applied = self._state.tagger.operations.by_id[operation.operation_id]
            outcome = "repeated" if operation.operation_id in known else "refused" if applied.refused else "done"
            known.add(operation.operation_id)
            metrics.TAG_OPERATIONS.labels(operation.kind, outcome).inc()
            if outcome == "refused":
                log.warning("%s %r refused: %s", operation.kind, operation.operation_id, applied.outcome)

    def _due_at_s(self) -> float | None:
        return self._refresh.due_at_s(unpublished=self._unpublished > 0, behind_s=self._behind_s)

    def wait_s(self, now_s: float) -> float:
        """See LearningWorker.wait_s."""
        due_at_s = self._due_at_s()
        return super().wait_s(now_s) if due_at_s is None else max(due_at_s - now_s, 0.0)

    def publish_if_due(self, now_s: float) -> None:
        """See LearningWorker.publish_if_due."""
        due_at_s = self._due_at_s()
        if due_at_s is not None and now_s >= due_at_s:
            self._publish(partial=self._refresh.is_partial(now_s, unpublished=self._unpublished > 0))

    def publish(self) -> None:
        """See LearningWorker.publish."""
        self._publish(partial=False)

    def _publish(self, *, partial: bool) -> None:
        started_s = time.thread_time()  # not the wall's: waiting for a busy core is no work
        snapshot = self._state.tagger.snapshot(partial=partial)
        unpublished, self._unpublished = self._unpublished > 0, 0
        content, kind = self._encoder.encode(snapshot)
        self.retry("models", self.parts.publisher.publish, snapshot.version, content, self._state.offsets, kind)
        cost_s = time.thread_time() - started_s
        self._refresh.published(time.monotonic(), cost_s, partial=partial, unpublished=unpublished)
        metrics.TAGS_KNOWN.set(snapshot.known)
        log.debug("tagger version %s, %s, %s tags, %s bytes", snapshot.version, kind, snapshot.known, len(content))

    def _wait_for_room(self) -> None:
        """A disk that is full in the middle of a transaction takes back everything since the last checkpoint."""
        self.retry("tagger state", check_room, self.parts.settings.data_path, WRITE_BYTES)

    def checkpoint_if_due(self, now_s: float) -> None:
        """See LearningWorker.checkpoint_if_due."""
        super().checkpoint_if_due(now_s)
        if self.unsaved >= self.parts.settings.tagging.checkpoint_examples:
            self.checkpoint()

    def checkpoint(self, *, last: bool = False) -> None:
        """See LearningWorker.checkpoint."""
        self._wait_for_room()
        self._state.checkpoint()
        self.parts.reader.commit_offsets(self._state.offsets, wait=last)
        metrics.show_quality(asdict(self._state.tagger.quality()))
        metrics.TAGS_COLD.set(len(self._state.tagger.cold_tags))
        self.unsaved, self.saved_s = 0, time.monotonic()
