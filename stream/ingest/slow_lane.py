"""Pictures that take their own time are fetched, decoded and embedded beside the stream.

In: states of images that wait for their picture, as they are written, and those of the index where partitions come to
this worker. Out: `ImageDecoded` events on images.v1, in any order. What waits stands in the index, so nothing is lost
with the worker; a picture that is decoded twice is there once.
"""

import logging
import threading
from collections.abc import Iterable
from dataclasses import replace

from models.errors import MekikiError, PoisonError, PolicyError
from stream import metrics
from stream.index.payload import EmbeddedImage, IndexRecord
from stream.ingest.batch import Batch, Item
from stream.ingest.parts import Ingest
from stream.ingest.prepare import DATAREFS_AT_ONCE, Prepare
from stream.ingest.waits import BYTES_HEADER, Waits, decoded_event, events_of
from stream.retry import StoppedError, until_available

log = logging.getLogger(__name__)

LOOK_S = 0.5  # between two looks at whether partitions came
PAGE = 256  # states asked for at once

Place = tuple[str, int]  # image id and position of the event that posted the picture


class SlowLane(threading.Thread):
    """See the module; `put` from any thread."""

    def __init__(self, parts: Ingest, aborting: threading.Event) -> None:
        super().__init__(name="slow lane", daemon=True)
        self._parts = parts
        self._aborting = aborting
        self._prepare = Prepare(parts, aborting, patient=True)
        self._changed = threading.Condition()  # guards what follows
        self._waiting: dict[Place, Waits] = {}
        self._known: dict[str, set[int]] = {}  # by image, positions of pictures that wait or are being decoded
        self._partitions: frozenset[int] = frozenset()  # that the index was asked about

    def put(self, record: IndexRecord) -> None:
        """An image as it is from now on."""
        if not record.undecoded and record.image_id not in self._known:
            return
        pictures = {one.record.position: one for one in events_of(record) if one.is_picture}
        with self._changed:
            known = self._known.pop(record.image_id, set())
            for position in known - pictures.keys():
                self._waiting.pop((record.image_id, position), None)
            for position in pictures.keys() - known:
                self._waiting[record.image_id, position] = pictures[position]
            if pictures:
                self._known[record.image_id] = set(pictures)
            metrics.SLOW_PICTURES.set(len(self._waiting))
            self._changed.notify_all()

    def run(self) -> None:
        """Decode what waits until the worker ends."""
        while not self._aborting.is_set():
            try:
                self.step()
            except StoppedError:
                return
            except MekikiError as error:
                log.warning("slow pictures wait: %s", error)
                self._aborting.wait(LOOK_S)
            except Exception:  # what waits is still in the index; a lane that ended would leave it there
                log.exception("slow pictures wait")
                self._aborting.wait(LOOK_S)

    def step(self, wait_s: float = LOOK_S) -> bool:
        """Decode the next of what waits, or wait for some; whether there was any.

        Raises:
            InfrastructureError: it still waits.
            StoppedError: the worker ends.
        """
        self._look()
        group = self._take(wait_s)
        if group:
            self._work(group)
        return bool(group)

    def end(self, timeout_s: float) -> None:
        """Once the worker ends: wait for the lane, but not for a picture that is being decoded."""
        with self._changed:
            self._changed.notify_all()
        self.join(timeout_s)

    def _look(self) -> None:
        """Take up what waits in partitions that came to this worker."""
        ours = self._parts.reader.assigned
        if ours == self._partitions:
            return
        cursor = None
        while True:
            found, cursor = self._parts.index.scroll_waiting(cursor, PAGE)
            for record in found:
                if any(one.is_picture and one.record.partition in ours for one in events_of(record)):
                    self.put(record)
            if cursor is None:
                break
        self._partitions = ours

    def _take(self, wait_s: float) -> list[Waits]:
        """A picture of our own, or some that others serve; nothing if none comes for a while."""
        with self._changed:
            if not (self._waiting or self._aborting.is_set()):
                self._changed.wait(wait_s)
            first = next(iter(self._waiting.items()), None)
            if first is None:
                return []
            if first[1].sha256:
                return [first[1]]
            return [one for one in self._waiting.values() if not one.sha256][:DATAREFS_AT_ONCE]

    def _work(self, group: list[Waits]) -> None:
        items = [self._item(one) for one in group]
        batch = Batch([item for item in items if item.poison is None], [], 0)
        self._prepare.decode(batch)
        self._prepare.embed(batch)
        said = [(one, item.poison or item.picture) for one, item in zip(group, items, strict=True)]
        until_available(lambda: self._say(said), self._aborting, what="slow pictures")
        with self._changed:
            for one in group:
                self._waiting.pop((_image_id(one), one.record.position), None)
            metrics.SLOW_PICTURES.set(len(self._waiting))

    def _item(self, one: Waits) -> Item:
        """The record as it was posted, with its bytes."""
        if not one.sha256:
            return Item(one.record)
        headers = tuple(header for header in one.record.headers if header[0] != BYTES_HEADER)
        try:
            content = self._parts.pictures.get(one.stored)
        except FileNotFoundError:
            text = f"picture {one.sha256[:12]}: its bytes are not there any more; post it again"
            return Item(one.record, poison=PolicyError(text, "dataref_missing"))
        return Item(replace(one.record, value=content, headers=headers))

    def _say(self, said: Iterable[tuple[Waits, object]]) -> None:
        for one, picture in said:
            assert isinstance(picture, (EmbeddedImage, PoisonError))
            image_id, position = _image_id(one), one.record.position
            event = decoded_event(image_id, position, picture)
            self._parts.writer.send_now(event, event_id=f"{image_id}/decoded/{position}")


def _image_id(one: Waits) -> str:
    return (one.record.key or b"").decode()
