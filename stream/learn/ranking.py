"""The ranking worker: clicks to a published ranker.

In: clicks.v1 (pairwise clicks; impressions and the clicks on them) and vectors from the index. Out: ranker versions.
State is the ranker, the impressions that may still be clicked, recent event identities and the offset: one unit.
Clicks the ranker cannot use (unknown image or impression) become dead letters, replayable.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.errors import PoisonError, SchemaError, UnknownImageError
from models.ranking.pairs import Pair, pairs_from_click
from models.ranking.ranknet import Ranker
from models.state_file import Saved, StateFile
from stream import metrics
from stream.events.codec import decode
from stream.events.schema import Clicked, Event, Impression, PairClicked
from stream.index.contract import Vector, VectorIndex
from stream.log.consume import LogReader, Record
from stream.log.dead_letter import dead_letter_headers
from stream.log.model_versions import ModelPublisher
from stream.log.positions import StoredOffset
from stream.log.produce import LogWriter
from stream.retry import StoppedError, until_available
from stream.settings import Settings

log = logging.getLogger(__name__)

KEEP_IMPRESSIONS = 10_000  # a click comes within minutes of its page
KEEP_IDENTITIES = 10_000  # a producer's retry comes within seconds
POLL_S = 0.5  # a poll returns as soon as there are records
STATE_FORMAT = 2  # of the state file


@dataclass(frozen=True)
class RankingParts:
    """What the ranking worker works with."""

    reader: LogReader
    writer: LogWriter
    index: VectorIndex
    state_file: StateFile
    publisher: ModelPublisher
    settings: Settings


def offsets_of(saved: Saved | None) -> list[StoredOffset]:
    """Where reading goes on after this saved state."""
    return [] if saved is None else [StoredOffset(**offset) for offset in saved[0]["offsets"]]


class RankingWorker:
    """Runs until `stop`; one thread."""

    def __init__(self, parts: RankingParts, saved: Saved | None, dimension: int) -> None:
        self._parts = parts
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._impressions: OrderedDict[str, list[str]] = OrderedDict()
        self._propensities: dict[str, list[float]] = {}
        self._identities: OrderedDict[str, None] = OrderedDict()
        self._position = 0
        self._offset: StoredOffset | None = None
        if saved is None:
            self._ranker = Ranker(dimension, seed=parts.settings.ranking.seed)
        else:
            self._restore(saved)
        self._published_version = -1
        self._dirty = False

    def _restore(self, saved: Saved) -> None:
        facts, arrays = saved
        self._ranker = Ranker.from_state(arrays, facts["ranker"])
        self._impressions = OrderedDict(facts["impressions"])
        self._propensities = dict(facts["propensities"])
        self._identities = OrderedDict.fromkeys(facts["identities"])
        self._position = int(facts["position"])
        (self._offset,) = offsets_of(saved)

    def stop(self) -> None:
        """Ask `run` to finish; safe in a signal handler."""
        self._stopping.set()

    def stop_now(self) -> None:
        """Ask `run` to finish although the log may hold more: its broker is gone. From any thread."""
        self._abandoned.set()
        self._stopping.set()

    def run(self, *, drain: bool = False) -> None:
        """Learn until `stop`; with `drain` also until clicks.v1 holds nothing unread.

        Raises:
            InfrastructureError: asked to stop while a neighbour was away; the last checkpoint is what counts.
            FatalError: going on would do harm.
        """
        try:
            self._run(drain)
        except StoppedError as stopped:  # half a batch may be learned
            if stopped.__cause__ is not None:
                raise stopped.__cause__ from None

    def _run(self, drain: bool) -> None:
        settings = self._parts.settings.ranking
        published_s = saved_s = time.monotonic()
        self._publish()
        while not self._stopping.is_set() or (drain and not self._drained()):
            try:
                records = until_available(lambda: self._parts.reader.poll(POLL_S), self._stopping, what="clicks")
            except StoppedError:
                break
            self._learn(records)
            now_s = time.monotonic()
            if now_s - published_s >= settings.publish_interval_ms / 1000:
                self._publish()
                published_s = now_s
            if self._dirty and now_s - saved_s >= settings.checkpoint_interval_s:
                self._save()
                saved_s = now_s
        self._save(last=True)  # needs the disk alone; what comes after needs the broker too
        self._publish()

    def _drained(self) -> bool:
        return self._abandoned.is_set() or self._parts.reader.caught_up("clicks", 0)

    def _learn(self, records: list[Record]) -> None:
        if not records:
            return
        pairs: list[tuple[int, Pair]] = []
        dead: list[tuple[Record, PoisonError]] = []
        for record in records:
            try:
                pairs.extend((self._position, pair) for pair in self._pairs(record))
            except PoisonError as poison:
                dead.append((record, poison))
            self._position += 1
        self._learn_pairs(pairs, records, dead)
        for record, error in dead:
            log.warning("dead letter from clicks %s: %s", record.offset, error)
            headers = dead_letter_headers(record, error)
            self._parts.writer.send("clicks.dlq", record.key, record.value, headers)
        if dead:
            until_available(self._parts.writer.flush, self._stopping, what="dead letters")
        self._offset = self._parts.reader.stored_offset("clicks", 0, records[-1].offset + 1)
        self._dirty = True

    def _pairs(self, record: Record) -> list[Pair]:
        envelope = decode(record.key, record.value, record.headers)
        if envelope.identity in self._identities:
            return []
        pairs = self._pairs_of(envelope.event)
        _remember(self._identities, envelope.identity, None, KEEP_IDENTITIES)
        return pairs

    def _pairs_of(self, event: Event) -> list[Pair]:
        if isinstance(event, PairClicked):
            if event.preferred == event.over:
                raise SchemaError(f"pair click on {event.preferred!r} twice: expected two images", reason="bad_event")
            return [Pair(event.preferred, event.over, 1.0)]
        if isinstance(event, Impression):
            if event.propensities is not None and len(event.propensities) != len(event.shown):
                raise SchemaError("impression: expected as many propensities as shown images", reason="bad_event")
            dropped = _remember(self._impressions, event.impression_id, list(event.shown), KEEP_IMPRESSIONS)
            for old in dropped:
                self._propensities.pop(old, None)
            if event.propensities is not None:
                self._propensities[event.impression_id] = list(event.propensities)
            return []
        if isinstance(event, Clicked):
            return self._pairs_of_click(event)
        raise SchemaError(f"{type(event).__name__} on topic clicks: post it to its own topic", reason="wrong_topic")

    def _pairs_of_click(self, event: Clicked) -> list[Pair]:
        shown = self._impressions.get(event.impression_id)
        if shown is None:
            raise SchemaError(
                f"click on impression {event.impression_id!r}: never seen; post the impression first",
                reason="unknown_impression",
            )
        if event.image_id not in shown:
            raise SchemaError(f"click on {event.image_id!r}: not on that page; post what was shown", reason="bad_event")
        return pairs_from_click(shown, event.image_id, self._propensities.get(event.impression_id))

    def _learn_pairs(
        self, pairs: list[tuple[int, Pair]], records: list[Record], dead: list[tuple[Record, PoisonError]]
    ) -> None:
        if not pairs:
            return
        vectors = self._vectors(pairs)
        first = self._position - len(records)
        known: list[tuple[int, Pair]] = []
        reported: set[int] = set()
        for position, pair in pairs:
            missing = [i for i in (pair.preferred, pair.over) if i not in vectors]
            if not missing:
                known.append((position, pair))
            elif position not in reported:
                reported.add(position)
                self._forget(records[position - first])
                text = f"image {missing[0]!r}: not in the index; post it, then replay the dead letter"
                dead.append((records[position - first], UnknownImageError(text)))
        if known:
            preferred = np.stack([vectors[pair.preferred] for _, pair in known])
            over = np.stack([vectors[pair.over] for _, pair in known])
            weights = np.array([pair.weight for _, pair in known], dtype=np.float32)
            self._ranker.learn_many(preferred, over, weights, self._ranker.pairs_seen)
            metrics.PAIRS.inc(len(known))

    def _forget(self, record: Record) -> None:
        """A replay of this dead letter has the same identity and is to be learned then."""
        self._identities.pop(decode(record.key, record.value, record.headers).identity, None)

    def _vectors(self, pairs: list[tuple[int, Pair]]) -> dict[str, Vector]:
        ids = sorted({i for _, pair in pairs for i in (pair.preferred, pair.over)})
        index = self._parts.index
        found = until_available(lambda: index.fetch(ids, with_vectors=True), self._stopping, what="index")
        return {i: record.vector for i, record in found.items() if record.vector is not None}

    def _publish(self) -> None:
        version = self._ranker.version
        if version == self._published_version:
            return
        published = self._ranker.published()
        offsets = [self._offset] if self._offset is not None else []
        publish = functools.partial(self._parts.publisher.publish, version, published.encoded(), offsets)
        until_available(publish, self._stopping, what="models")
        self._published_version = version
        log.info(
            "ranker version %s after %s pairs, progressive accuracy %.3f",
            version, self._ranker.pairs_seen, self._ranker.progressive_accuracy,
        )  # fmt: skip

    def _save(self, *, last: bool = False) -> None:
        if self._offset is None:
            return
        arrays, ranker = self._ranker.state()
        facts = {
            "ranker": ranker,
            "position": self._position,
            "impressions": list(self._impressions.items()),
            "propensities": self._propensities,
            "identities": list(self._identities),
            "offsets": [asdict(self._offset)],
        }
        save = functools.partial(self._parts.state_file.save, facts, arrays)
        until_available(save, self._stopping, what="ranker state")
        self._parts.reader.commit_offsets([self._offset], wait=last)
        self._dirty = False


def _remember(memory: OrderedDict[str, Any], key: str, value: object, most: int) -> list[str]:
    """Keep the newest `most` entries; returns the keys that had to go."""
    memory[key] = value
    memory.move_to_end(key)
    return [memory.popitem(last=False)[0] for _ in range(len(memory) - most)]
