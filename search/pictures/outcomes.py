"""What came of an event about a picture: searches see it, or it is dead.

In: events on their way. Out: `DONE`, `WAITS`, the text of a dead letter, or None while nothing is known. Searches see
an event once the index names it among the last of its image. Dead letters are read by one consumer from where
images.dlq ended when an event was first waited for. Raises InfrastructureError while a neighbour is away.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeAlias

from kafka import KafkaConsumer, TopicPartition

from models.errors import MekikiError
from stream.events.codec import Envelope, identity_hash
from stream.events.schema import ImageDeleted, ImagePosted, TagsApplied, TagsRemoved
from stream.index.contract import VectorIndex
from stream.log.client import broker_errors, client_options
from stream.log.dead_letter import ORIGIN, TEXT
from stream.log.topics import describe_topics
from stream.settings import Settings

log = logging.getLogger(__name__)

AboutImage: TypeAlias = ImagePosted | ImageDeleted | TagsApplied | TagsRemoved
DONE = "done"
WAITS = "waits"  # for the picture, which is not there
KEPT = 10_000  # texts of the last dead letters
POLL_MS = 300
FETCH_WAIT_MS = 100  # the embedded broker answers an empty fetch only after it
PARTS = 3  # slashes in the origin of a letter that is about a part of its record


class Outcomes(threading.Thread):
    """Looks after events that somebody waits for; `prepare` starts it."""

    def __init__(self, settings: Settings, index: VectorIndex) -> None:
        super().__init__(name="outcomes", daemon=True)
        self._settings = settings
        self._index = index
        self._dead: OrderedDict[str, str] = OrderedDict()
        self._consumer: KafkaConsumer | None = None
        self._opening = threading.Lock()
        self._stopping = threading.Event()

    def prepare(self) -> None:
        """Read dead letters from now on; before the event is posted.

        Raises:
            InfrastructureError: the broker is away.
        """
        with self._opening:
            if self._consumer is None:
                self._consumer = self._open()
                self.start()

    def _open(self) -> KafkaConsumer:
        topic = describe_topics(self._settings, ("images.dlq",))["images.dlq"]
        every = [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
        with broker_errors(self._settings):
            consumer = KafkaConsumer(
                **client_options(self._settings), enable_auto_commit=False, fetch_max_wait_ms=FETCH_WAIT_MS
            )
            consumer.assign(every)
            for at, end in consumer.end_offsets(every).items():
                consumer.seek(at, end)
        return consumer

    def of(self, event: AboutImage, event_id: str, source: str) -> str | None:
        """What is known of an event."""
        identity = identity_hash(Envelope(event_id, source, event))
        record = self._index.fetch([event.image_id]).get(event.image_id)
        if record is None or identity not in record.seen:
            return self._dead.get(identity)
        if isinstance(event, ImageDeleted):
            return DONE
        if record.payload is None or record.undecoded:
            waits = not isinstance(event, ImagePosted) and not record.undecoded and not record.deleted
            return self._dead.get(identity, WAITS if waits else None)
        if isinstance(event, ImagePosted) and event.sha256 not in (None, record.payload.sha256):
            return self._dead.get(identity)  # an earlier picture is there, this one waited for its decoding in vain
        return DONE

    def run(self) -> None:
        """Read dead letters until `stop`."""
        assert self._consumer is not None
        while not self._stopping.is_set():
            try:
                with broker_errors(self._settings):
                    polled = self._consumer.poll(POLL_MS)
            except MekikiError as error:
                log.warning("dead letters are not read: %s", error)
                self._stopping.wait(1.0)
                continue
            for records in polled.values():
                for record in records:
                    self._note(record.headers)
        self._consumer.close()

    def _note(self, headers: Iterable[tuple[str, bytes]]) -> None:
        named = {name: value.decode(errors="replace") for name, value in headers if value is not None}
        if named.get(ORIGIN, "").count("/") >= PARTS or not {TEXT, "ce_id", "ce_source"} <= named.keys():
            return  # of one tag among others, or of something else
        identity = Envelope(named["ce_id"], named["ce_source"], ImagePosted(image_id="any"))
        self._dead[identity_hash(identity)] = named[TEXT]
        while len(self._dead) > KEPT:
            self._dead.popitem(last=False)

    def stop(self) -> None:
        """End the thread, if there is one."""
        self._stopping.set()
        if self._consumer is not None:
            self.join(timeout=5)
