"""The ranking worker: clicks to a published ranker.

In: clicks.v1 (pairwise clicks; impressions and the clicks on them) and vectors from the index. Out: ranker versions.
State is the ranker, the pages that may still be clicked, recent event identities and the offset: one unit. Clicks that
the ranker cannot use (unknown image or impression) become dead letters, which can be replayed.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from models.errors import InternalError, MekikiError, PoisonError, SchemaError, UnknownImageError, UsageError
from models.ranking.pairs import Pair
from models.ranking.ranknet import Ranker
from models.state_file import Saved, StateFile
from stream import metrics
from stream.events.codec import decode
from stream.index.contract import VectorIndex
from stream.index.payload import IndexRecord, Vector
from stream.learn.pairs import PairReader
from stream.learn.worker import LearningParts, LearningWorker
from stream.log.dead_letter import send_dead_letters
from stream.log.reading.positions import StoredOffset
from stream.log.record import Record
from stream.settings import Settings

log = logging.getLogger(__name__)

STATE_FORMAT = 3  # of the state file


def open_ranker(settings: Settings) -> StateFile:
    """The ranker's state under the data directory; raises as StateFile."""
    return StateFile(settings.data_path / "ranker.sqlite", format_number=STATE_FORMAT)


def offsets_of(saved: Saved | None) -> list[StoredOffset]:
    """Where reading goes on after this saved state."""
    return [] if saved is None else [StoredOffset(**offset) for offset in saved[0]["offsets"]]


class RankingWorker(LearningWorker):
    """See the module."""

    def __init__(
        self, parts: LearningParts, index: VectorIndex, *, state_file: StateFile, saved: Saved | None, dimension: int
    ) -> None:
        """`saved` is what the state file had when the reader began."""
        super().__init__(parts, "clicks", parts.settings.ranking.checkpoint_interval_s)
        self._index = index
        self._state_file = state_file
        self._pairs = PairReader()
        self._offset: StoredOffset | None = None
        if saved is None:
            self._ranker = Ranker(dimension, seed=parts.settings.ranking.seed)
        else:
            facts, arrays = saved
            self._ranker = Ranker.from_state(arrays, facts["ranker"])
            self._pairs.restore(facts["clicks"])
            (self._offset,) = offsets_of(saved)
        self._published_version = -1
        self._published_s = time.monotonic()

    def learn(self, records: Sequence[Record]) -> None:
        """See LearningWorker.learn."""
        if not records:
            return
        clicks: list[tuple[Record, list[Pair]]] = []
        dead: dict[int, tuple[Record, PoisonError]] = {}  # by offset
        for record in records:
            try:
                pairs = self._read(record)
            except PoisonError as poison:
                dead[record.offset] = record, poison
            else:
                clicks += [(record, pairs)] if pairs else []
        if clicks:
            self._learn_clicks(clicks, dead)
        if dead:
            letters = [dead[offset] for offset in sorted(dead)]
            self.retry("dead letters", send_dead_letters, self.parts.writer, letters)
        self._offset = self.parts.reader.stored_offset("clicks", 0, records[-1].offset + 1)
        self.unsaved += len(records)

    def _read(self, record: Record) -> list[Pair]:
        """The pairs of a record; whatever it makes us raise is its fault.

        Raises:
            PoisonError: it cannot be used.
        """
        if record.lost:
            return []
        try:
            return self._pairs.read(decode(record.key, record.value, record.headers))
        except UsageError as error:
            raise SchemaError(str(error), reason="bad_event") from None
        except MekikiError:
            raise
        except Exception as error:
            log.exception("record clicks %s", record.offset)
            raise InternalError.of(error) from error

    def _learn_clicks(
        self, clicks: Sequence[tuple[Record, list[Pair]]], dead: dict[int, tuple[Record, PoisonError]]
    ) -> None:
        image_ids = {image_id for _, pairs in clicks for pair in pairs for image_id in (pair.preferred, pair.over)}
        images = self.retry("index", self._index.fetch, sorted(image_ids), with_vectors=True)
        known: list[tuple[Vector, Vector, float]] = []
        for record, pairs in clicks:
            found, missing = _with_vectors(pairs, images)
            known += found
            if missing:
                text = f"image {_unknown(missing[0], images)!r}: not in the index; post it, then replay the dead letter"
                dead[record.offset] = record, UnknownImageError(text)
            elif not found:
                missing, text = pairs, f"click on {pairs[0].preferred!r}: its pictures were deleted"
                dead[record.offset] = record, UnknownImageError(text, reason="image_deleted")
            if missing:
                self._pairs.keep(decode(record.key, record.value, record.headers), missing)
        if known:
            preferred, over, weights = zip(*known, strict=True)
            place = self._ranker.pairs_seen
            self._ranker.learn_many(np.stack(preferred), np.stack(over), np.array(weights, np.float32), place)
            metrics.PAIRS.inc(len(known))

    def publish_if_due(self, now_s: float) -> None:
        """See LearningWorker.publish_if_due."""
        if now_s - self._published_s >= self.parts.settings.ranking.publish_interval_ms / 1000:
            self.publish()
            self._published_s = now_s

    def publish(self) -> None:
        """See LearningWorker.publish."""
        version = self._ranker.version
        if version == self._published_version:
            return
        offsets = [self._offset] if self._offset is not None else []
        content = self._ranker.published().encoded()
        self.retry("models", self.parts.publisher.publish, version, content, offsets)
        self._published_version = version
        log.info(
            "ranker version %s after %s pairs, progressive accuracy %.3f",
            version, self._ranker.pairs_seen, self._ranker.progressive_accuracy,
        )  # fmt: skip

    def checkpoint(self, *, last: bool = False) -> None:
        """See LearningWorker.checkpoint."""
        if self._offset is None:
            return
        arrays, ranker = self._ranker.state()
        facts = {"ranker": ranker, "clicks": self._pairs.state(), "offsets": [asdict(self._offset)]}
        self.retry("ranker state", self._state_file.save, facts, arrays)
        self.parts.reader.commit_offsets([self._offset], wait=last)
        self.unsaved, self.saved_s = 0, time.monotonic()


def _with_vectors(
    pairs: Sequence[Pair], images: Mapping[str, IndexRecord]
) -> tuple[list[tuple[Vector, Vector, float]], list[Pair]]:
    """The pairs of one click that can be learned, and those of which a picture was never posted; not the deleted."""
    missing = [pair for pair in pairs if _unknown(pair, images) is not None]
    found = []
    for pair in pairs:
        if pair not in missing:
            preferred, over = images[pair.preferred].vector, images[pair.over].vector
            if preferred is not None and over is not None:
                found.append((preferred, over, pair.weight))
    return found, missing


def _unknown(pair: Pair, images: Mapping[str, IndexRecord]) -> str | None:
    """The picture of a pair that was never posted, None where both were."""
    for image_id in (pair.preferred, pair.over):
        if image_id not in images or not images[image_id].was_posted:
            return image_id
    return None
