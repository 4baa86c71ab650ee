"""`mekiki work objects`: behind ingest, one image after another, until it is asked to stop.

In: images.v1, of which each record only says that an image may have changed; the image index says how, once ingest has
applied the record. Out: objects, then the offsets that they cover. Nothing is drained when it ends: images that have no
objects yet are looked for at the start of an embedded service, whose log is a new one, and wherever no offset is known.
"""

import functools
import logging
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from models.errors import InfrastructureError
from stream import metrics
from stream.events.schema import ImageDecoded, ImageDeleted, ImagePosted
from stream.index.contract import VectorIndex
from stream.index.objects import ObjectIndex
from stream.log.reading.consume import LogReader
from stream.log.record import Record
from stream.objects.cut import Cutter
from stream.retry import StoppedError, until_available
from stream.stopping import StopRequest

log = logging.getLogger(__name__)
T = TypeVar("T")

TOPIC = "images"
AT_ONCE = 8  # images cut and written together
MOST_WAITING = 5_000  # records
POLL_S = 0.5
PAGE = 256  # images looked at together
_CHANGES = {kind.type.encode() for kind in (ImagePosted, ImageDeleted, ImageDecoded)}


class ObjectsWorker:
    """See the module. One thread."""

    def __init__(self, reader: LogReader, cutter: Cutter, stopping: StopRequest, *, embedded: bool) -> None:
        """`embedded`: the log is a new one with each start, and ingest is on this machine."""
        self.stopping = stopping
        self._reader, self._cutter, self._embedded = reader, cutter, embedded
        self._images: VectorIndex = cutter.images
        self._objects: ObjectIndex = cutter.objects
        self._waiting: deque[Record] = deque()
        self._paused = False

    def drop_partitions(self, partitions: set[tuple[str, int]]) -> None:
        """Another worker reads these from now on: topics with partitions."""
        kept = [record for record in self._waiting if (record.topic, record.partition) not in partitions]
        self._waiting = deque(kept)

    def run(self, *, drain: bool = False) -> None:
        """Work until `stopping` is asked for; `drain` is for workers that would lose something."""
        try:
            if self._embedded or not self._retry("objects", self._objects.offsets):
                self._look_at_all()
            while not self.stopping.asked.is_set():
                if not self._turn():
                    self._read(POLL_S)
        except StoppedError:
            log.info("stopped")

    def _look_at_all(self) -> None:
        cursor, looked_at = None, 0
        while True:
            hits, cursor = self._retry("index", functools.partial(self._images.scroll, cursor, PAGE))
            known = self._retry("objects", functools.partial(self._objects.fetch, [hit.image_id for hit in hits]))
            cut_from = {image_id: one.sha256 for image_id, one in known.items()}
            missing = [hit.image_id for hit in hits if cut_from.get(hit.image_id) != hit.payload.sha256]
            for start in range(0, len(missing), AT_ONCE):
                self._bring(missing[start : start + AT_ONCE])
                self._read(0.0)
            looked_at += len(hits)
            log.info("looked at %s images", looked_at)
            if cursor is None:
                return

    def _read(self, wait_s: float) -> None:
        """Let records wait; also keeps the membership alive."""
        if len(self._waiting) >= MOST_WAITING:
            self._paused = True
            self._reader.pause(TOPIC)  # every time: a rebalance may have brought other partitions
        elif self._paused and len(self._waiting) < MOST_WAITING / 2:
            self._paused = False
            self._reader.resume(TOPIC)
        try:
            self._waiting.extend(self._reader.poll(wait_s))
        except InfrastructureError as error:
            log.warning("%s", error)
            self.stopping.asked.wait(POLL_S)
        metrics.OBJECTS_BEHIND.set(len(self._waiting))

    def _turn(self) -> bool:
        """Work on what ingest has applied; whether there was anything."""
        if not self._waiting:
            return False
        applied = {at.partition: at.position for at in self._retry("index", self._images.offsets) if at.topic == TOPIC}
        if self._embedded and any(one.position >= applied.get(one.partition, 0) for one in self._waiting):
            return False  # ingest is busy, and comes first
        taken: list[Record] = []
        while self._waiting and len(taken) < PAGE and len({_changed(one) for one in taken} - {None}) < AT_ONCE:
            first = self._waiting[0]
            if first.position >= applied.get(first.partition, 0):
                break  # the order among partitions does not matter, but it is one queue
            taken.append(self._waiting.popleft())
        if not taken:
            return False
        last = {record.partition: record.offset + 1 for record in taken}
        self._bring(list(dict.fromkeys(one for one in map(_changed, taken) if one is not None)))
        offsets = [self._reader.stored_offset(TOPIC, partition, offset) for partition, offset in last.items()]
        self._retry("objects", lambda: self._objects.write([], offsets))
        self._reader.commit_offsets(offsets)
        self._read(0.0)
        return True

    def _bring(self, image_ids: list[str]) -> None:
        """Make the objects of these images what they are to be; who asks to stop waits for one picture at most."""
        found = [self._retry("index", functools.partial(self._cutter.missing, one)) for one in image_ids]
        if made := [one for one in found if one is not None]:
            self._retry("objects", lambda: self._objects.write(made, []))
            metrics.IMAGES_CUT.inc(len(made))

    def _retry(self, what: str, attempt: Callable[[], T]) -> T:
        if self.stopping.asked.is_set():
            raise StoppedError(what)
        return until_available(attempt, self.stopping.asked, what=what)


def _changed(record: Record) -> str | None:
    """The image whose picture a record may have changed; a structured event says its kind in its body only."""
    kind = dict(record.headers).get("ce_type")
    return (record.key or b"").decode(errors="replace") if kind is None or kind in _CHANGES else None
