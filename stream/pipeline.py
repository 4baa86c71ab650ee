"""The ingest worker: the only file that joins the steps.

    poll+join ──► decode ──► embed ──► apply (examples, dead letters, index + offsets)

Each arrow is a short queue between two threads, so decoding (child processes), embedding (device) and writing (index)
overlap; batches stay in order. What may not be lost is never ahead of its offset: a batch's examples and dead letters
are acknowledged first, then its images and its offsets reach the index in one write. A neighbour that is away stalls
one step; the queues fill, polling goes on with the partitions paused, and the heartbeat lives.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from models.encoders.base import Encoder
from models.errors import BrokerUnavailableError, PoisonError, SchemaError
from models.quantise import quantise
from stream import metrics
from stream.apply import EmbeddedImage, apply_event
from stream.codec import Envelope, decode
from stream.consume import LogReader, Record
from stream.dead_letter import Brake, dead_letter_headers
from stream.decode import Decoded
from stream.events import ImageDeleted, ImagePosted, TagsApplied, TagsRemoved
from stream.example import CONTENT_TYPE, TYPE, SourcedExample, encode_example
from stream.index import IndexRecord, StoredOffset, VectorIndex
from stream.join import Join
from stream.known import KnownImages
from stream.pictures import DatarefReader, PictureStore, checked_sha256
from stream.produce import LogWriter
from stream.retry import StoppedError, until_available
from stream.settings import Settings

log = logging.getLogger(__name__)
T = TypeVar("T")

POLL_S = 0.05  # longest wait of one poll while something is under way
IDLE_POLL_S = 0.5  # and while nothing is; a poll returns as soon as there are records
RECENT_RECORDS = 2_048  # remembered after they were written, 4 KB each
BATCH_IMAGES = {"cpu": 32, "cuda": 128}  # the CPU works picture by picture: small batches overlap better
QUEUE_BATCHES = 2  # between two steps; enough to overlap, little to redo after a crash
MAX_BATCH_RECORDS = 512  # tags are light: a batch may carry many beside its images


class Decoder(Protocol):
    """What the pipeline needs of stream.decode.DecodePool."""

    def decode_many(self, contents: list[bytes]) -> list[Decoded | PoisonError]:
        """Pictures to pixels, one answer each, in order."""


@dataclass
class Item:
    """One record on its way; each step fills in its part or sets `poison`."""

    record: Record
    envelope: Envelope | None = None
    poison: PoisonError | None = None
    content: bytes | None = None
    decoded: Decoded | None = None
    image: EmbeddedImage | None = None


@dataclass
class Batch:
    """Records in the order they apply, and the offsets that hold once they have."""

    items: list[Item]
    offsets: list[StoredOffset]
    size_bytes: int
    images: int = field(default=0)


@dataclass(frozen=True)
class Ingest:
    """What the ingest worker works with."""

    reader: LogReader
    writer: LogWriter
    index: VectorIndex
    encoder: Encoder
    decoder: Decoder
    pictures: PictureStore
    datarefs: DatarefReader
    settings: Settings


class IngestPipeline:
    """Runs the steps until `stop`, then finishes what is in flight."""

    def __init__(self, parts: Ingest) -> None:
        self._parts = parts
        self._stopping = threading.Event()  # asked to end: no new records
        self._aborting = threading.Event()  # a step failed: waiting makes no sense
        self._failure: BaseException | None = None
        self._to_decode: queue.Queue[Batch | None] = queue.Queue(QUEUE_BATCHES)
        self._to_embed: queue.Queue[Batch | None] = queue.Queue(QUEUE_BATCHES)
        self._to_apply: queue.Queue[Batch | None] = queue.Queue(QUEUE_BATCHES)
        self._applied: queue.SimpleQueue[list[StoredOffset]] = queue.SimpleQueue()
        self._in_flight = 0
        self._in_flight_lock = threading.Condition()
        ingest = parts.settings.ingest
        self._brake = Brake(ingest.brake_share, ingest.brake_records)
        self._join = Join(parts.settings.kafka.join_grace_ms)
        self._room = threading.Event()  # the first step took a batch
        self._polled_s = 0.0
        self._recent: OrderedDict[str, IndexRecord] = OrderedDict()
        self._forget = threading.Event()  # partitions changed hands: what is remembered may be old
        self._known = KnownImages(parts.index)
        self._busy_s = {"decode": 0.0, "embed": 0.0, "apply": 0.0}
        self._pending: deque[Record] = deque()
        self._pending_bytes = 0
        self._paused: set[str] = set()

    def stop(self) -> None:
        """Ask `run` to finish; safe in a signal handler."""
        self._stopping.set()

    def run(self, *, drain: bool = False) -> None:
        """Work until `stop`; with `drain` also until the log holds nothing unread.

        Raises:
            MekikiError: a fatal one, after which nothing more was written.
        """
        threads = [
            threading.Thread(target=self._stage, args=arguments, name=arguments[0], daemon=True)
            for arguments in (
                ("decode", self._decode, self._to_decode, self._to_embed),
                ("embed", self._embed, self._to_embed, self._to_apply),
                ("apply", self._apply, self._to_apply, None),
            )
        ]
        for thread in threads:
            thread.start()
        try:
            while self._failure is None and not (self._stopping.is_set() and (not drain or self._drained())):
                self._turn(accept=drain or not self._stopping.is_set())
            self._finish(threads)
        finally:
            self._aborting.set()
        log.info("busy seconds by step: %s", {name: round(busy_s, 2) for name, busy_s in self._busy_s.items()})
        if self._failure is not None:
            raise self._failure

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight; True if so."""
        with self._in_flight_lock:
            return self._in_flight_lock.wait_for(lambda: self._in_flight == 0, timeout_s)

    def drop_partitions(self, partitions: set[int]) -> None:
        """These partitions go to another worker: finish what is in flight, forget what is not."""
        self._join.drop(partitions)
        self._forget.set()
        self._pending = deque(record for record in self._pending if record.partition not in partitions)
        self._pending_bytes = sum(record.size_bytes for record in self._pending)
        self.wait_idle(timeout_s=5.0)

    def _turn(self, *, accept: bool) -> None:
        """One poll, then hand on what is due."""
        self._balance()
        if self._pending and (self._to_decode.full() or time.monotonic() - self._polled_s < POLL_S):
            self._room.wait(POLL_S)  # more is at hand than the steps can take: the next look at the log can wait
            self._room.clear()
            self._hand_on()
            if time.monotonic() - self._polled_s < POLL_S:
                return
        wait_s = POLL_S if len(self._join) or self._in_flight else IDLE_POLL_S
        try:
            records = self._parts.reader.poll(0.0 if self._pending else wait_s)
        except BrokerUnavailableError as error:
            log.warning("%s", error)
            self._stopping.wait(POLL_S)
            return
        self._polled_s = time.monotonic()
        now_ms = time.time() * 1000  # compared with the producers' timestamps
        if accept:
            self._join.add(records, now_ms)
            released = self._release(now_ms)
            self._pending.extend(released)
            self._pending_bytes += sum(record.size_bytes for record in released)
        self._hand_on()
        while not self._applied.empty():
            self._parts.reader.mirror(self._applied.get())

    def _release(self, now_ms: float) -> list[Record]:
        reader, known = self._parts.reader, self._known
        known.look_up(_image_id(tag) for tag in self._join.waiting())
        released = self._join.release(now_ms, lambda p: reader.caught_up("images", p), lambda t: _image_id(t) in known)
        for record in released:
            if record.topic == "images":
                known.add(_image_id(record))
        return released

    def _balance(self) -> None:
        """Pause what is read faster than it is used; never the images that held tags wait for."""
        limit, reader = self._parts.settings.ingest.queue_bytes, self._parts.reader
        metrics.QUEUED_BYTES.set(self._pending_bytes)
        waiting_bytes = 200 * len(self._join)  # tags only: images never wait in the join
        for topic, held_bytes in (("images", self._pending_bytes), ("tags", self._pending_bytes + waiting_bytes)):
            if held_bytes > limit:
                self._paused.add(topic)
                reader.pause(topic)  # every turn: a rebalance may have brought partitions that are not paused
            elif topic in self._paused and held_bytes < limit / 2:
                self._paused.discard(topic)
                reader.resume(topic)

    def _hand_on(self) -> None:
        while self._pending and not self._to_decode.full():
            batch = self._next_batch()
            with self._in_flight_lock:
                self._in_flight += 1
            self._to_decode.put(batch)

    def _next_batch(self) -> Batch:
        items: list[Item] = []
        images = size = 0
        last: dict[tuple[str, int], int] = {}
        most = self._parts.settings.encoder.batch_size or BATCH_IMAGES.get(self._parts.encoder.device, 32)
        while self._pending and len(items) < MAX_BATCH_RECORDS and images < most:
            record = self._pending.popleft()
            size += record.size_bytes
            images += record.topic == "images"
            items.append(Item(record))
            last[record.topic, record.partition] = record.offset + 1
        self._pending_bytes -= size
        offsets = [self._parts.reader.stored_offset(t, p, offset) for (t, p), offset in last.items()]
        return Batch(items, offsets, size)

    def _drained(self) -> bool:
        reader = self._parts.reader
        empty = not self._pending and len(self._join) == 0 and self._in_flight == 0
        return empty and all(
            reader.caught_up(topic, partition)
            for topic in ("images", "tags")
            for partition in range(reader.partitions(topic))
        )

    def _finish(self, threads: list[threading.Thread]) -> None:
        self._to_decode.put(None) if self._failure is None else None
        deadline_s = time.monotonic() + 60
        while self._failure is None and any(thread.is_alive() for thread in threads):
            if time.monotonic() > deadline_s:
                log.warning("gave up waiting for batches in flight; they will be read again")
                return
            self._parts.reader.poll(0.02)  # keeps the membership alive; records are read again later
            while not self._applied.empty():
                self._parts.reader.mirror(self._applied.get(), wait=True)

    def _stage(
        self,
        name: str,
        work: Callable[[Batch], None],
        source: queue.Queue[Batch | None],
        target: queue.Queue[Batch | None] | None,
    ) -> None:
        try:
            while not self._aborting.is_set():
                try:
                    batch = source.get(timeout=0.2)
                except queue.Empty:
                    continue
                self._room.set()
                if batch is not None:
                    started_s = time.perf_counter()
                    work(batch)
                    busy_s = time.perf_counter() - started_s
                    self._busy_s[name] += busy_s
                    metrics.STAGE_SECONDS.labels(name).inc(busy_s)
                if target is not None:
                    target.put(batch)
                elif batch is not None:
                    with self._in_flight_lock:
                        self._in_flight -= 1
                        self._in_flight_lock.notify_all()
                if batch is None:
                    return
        except StoppedError:
            return
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._failure = error
            self._aborting.set()

    # ---- decode -----------------------------------------------------------------------------------------------

    def _decode(self, batch: Batch) -> None:
        for item in batch.items:
            self._read_event(item)
        posted = [item for item in batch.items if item.content is not None]
        answers = self._parts.decoder.decode_many([item.content or b"" for item in posted])
        for item, answer in zip(posted, answers, strict=True):
            if isinstance(answer, PoisonError):
                item.poison = answer
            else:
                item.decoded = answer

    def _read_event(self, item: Item) -> None:
        record = item.record
        try:
            item.envelope = decode(record.key, record.value, record.headers)
            event = item.envelope.event
            _check_topic(event, record.topic)
            if isinstance(event, ImagePosted):
                content = event.content
                if content is None:
                    content = self._retry(lambda: self._parts.datarefs.read(event.dataref or ""), "dataref")
                checked_sha256(content, event.sha256)
                item.content = content
        except PoisonError as error:
            item.poison = error

    # ---- embed ------------------------------------------------------------------------------------------------

    def _embed(self, batch: Batch) -> None:
        items = [item for item in batch.items if item.decoded is not None]
        if not items:
            return
        pixels = np.stack([item.decoded.pixels for item in items if item.decoded is not None])
        vectors = self._parts.encoder.embed(pixels)
        for item, vector in zip(items, vectors, strict=True):
            if item.decoded is not None and item.content is not None:
                try:
                    codes: npt.NDArray[np.int16] = quantise(vector[None])[0]
                    item.image = EmbeddedImage(codes, self._facts(item, item.decoded, item.content))
                except PoisonError as error:  # a picture that makes the network overflow is the picture's fault
                    item.poison = error
                item.decoded = None  # pixels are the heaviest part of a batch
        batch.images = sum(item.image is not None for item in items)

    def _facts(self, item: Item, decoded: Decoded, content: bytes) -> dict[str, object]:
        event = item.envelope.event if item.envelope is not None else None
        dataref = event.dataref if isinstance(event, ImagePosted) else None
        sha256 = decoded.sha256
        uri = dataref or self._parts.pictures.uri(sha256)
        return {
            "sha256": sha256,
            "phash": f"{decoded.phash:016x}",
            "uri": uri,
            "format": decoded.format,
            "width_px": decoded.width_px,
            "height_px": decoded.height_px,
            "bytes": len(content),
            "encoder": self._parts.encoder.version,
        }

    # ---- apply ------------------------------------------------------------------------------------------------

    def _apply(self, batch: Batch) -> None:
        states = self._retry(lambda: self._states(batch), "index")
        changed: dict[str, IndexRecord] = {}
        examples: list[tuple[Record, bytes]] = []
        dead: list[tuple[Record, PoisonError]] = []
        for item in batch.items:
            poison = item.poison or self._apply_item(item, states, changed, examples)
            if poison is not None:
                dead.append((item.record, poison))
            metrics.RECORDS.labels(item.record.topic, "applied" if poison is None else poison.reason).inc()
            self._brake.count(poison is not None)
        self._retry(lambda: self._send(examples, dead), "examples")
        self._retry(lambda: self._parts.index.write(list(changed.values()), batch.offsets), "index")
        self._remember(changed)
        metrics.IMAGES_INDEXED.inc(batch.images)
        self._applied.put(batch.offsets)
        log.debug("batch of %s records, %s images, %s dead", len(batch.items), batch.images, len(dead))

    def _states(self, batch: Batch) -> dict[str, IndexRecord]:
        if self._forget.is_set():
            self._forget.clear()
            self._recent.clear()
        ids = {getattr(item.envelope.event, "image_id", "") for item in batch.items if item.envelope is not None}
        states = {i: self._recent[i] for i in ids if i in self._recent}
        unknown = sorted(ids - states.keys())
        return states | (self._parts.index.fetch(unknown, with_vectors=True) if unknown else {})

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
    ) -> PoisonError | None:
        if item.envelope is None:
            return None
        image_id: str = getattr(item.envelope.event, "image_id", "")
        state = states.get(image_id)
        try:
            applied = apply_event(state, item.envelope, item.record, item.image)
        except PoisonError as error:
            return error
        if applied is None:
            return None
        if applied.record.deleted and state is not None and not state.deleted:
            self._remove_picture(state, changed)
        self._keep_picture(item)
        states[image_id] = changed[image_id] = applied.record
        if applied.example is not None:
            record, version = item.record, self._parts.encoder.version
            sourced = SourcedExample(applied.example, record.topic, record.partition, record.version, version)
            examples.append((record, encode_example(sourced)))
        return None

    def _keep_picture(self, item: Item) -> None:
        """Inline bytes are put down here, in the order of the log: a deletion before must not take them along."""
        content = item.content
        if item.image is None or content is None or getattr(item.envelope and item.envelope.event, "dataref", None):
            return
        sha256: str = item.image.facts["sha256"]
        self._retry(lambda: self._parts.pictures.put(content, sha256), "pictures")

    def _remove_picture(self, state: IndexRecord, changed: dict[str, IndexRecord]) -> None:
        """Take the bytes away unless another image, in the index or in this batch, has the same."""
        sha256 = state.payload["sha256"]
        sharing = {hit.image_id for hit in self._retry(lambda: self._parts.index.find_sha256(sha256, 2), "index")}
        sharing |= {i for i, record in changed.items() if record.payload.get("sha256") == sha256}
        if sharing <= {state.image_id}:
            self._retry(lambda: self._parts.pictures.remove(sha256), "pictures")
            self._retry(lambda: self._parts.datarefs.forget(state.payload["uri"]), "pictures")

    def _send(self, examples: list[tuple[Record, bytes]], dead: list[tuple[Record, PoisonError]]) -> None:
        writer = self._parts.writer
        for record, value in examples:
            headers = _example_headers(record)
            writer.send("examples", record.key, value, headers, timestamp_ms=record.timestamp_ms)
        for record, poison in dead:
            log.warning("dead letter from %s %s/%s: %s", record.topic, record.partition, record.offset, poison)
            writer.send(f"{record.topic}.dlq", record.key, record.value, dead_letter_headers(record, poison))
        if examples or dead:
            writer.flush()

    def _retry(self, attempt: Callable[[], T], what: str) -> T:
        return until_available(attempt, self._aborting, what=what)


def _image_id(record: Record) -> str:
    return (record.key or b"").decode(errors="replace")


def _check_topic(event: object, topic: str) -> None:
    allowed = (ImagePosted, ImageDeleted) if topic == "images" else (TagsApplied, TagsRemoved)
    if not isinstance(event, allowed):
        raise SchemaError(f"{type(event).__name__} on topic {topic}: post it to its own topic", reason="wrong_topic")


def _example_headers(record: Record) -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{record.topic}/{record.partition}/{record.version}".encode()),
        ("ce_source", b"mekiki/ingest"),
        ("ce_type", TYPE.encode()),
        ("content-type", CONTENT_TYPE.encode()),
    ]
