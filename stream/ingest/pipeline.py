"""The ingest worker: the only file that joins the steps.

    poll, join ──► decode ──► embed ──► write (examples, dead letters, pictures, index with offsets)
                   └──── prepare ────┘

Each arrow is a short queue between two threads, so decoding (child processes), embedding (device) and writing (index)
overlap; batches stay in order. Two batches are with the encoder at once: its threads take pictures of the next one
while the last pictures of the one before are still under way.

What may not be lost is never ahead of its offset: a batch's examples and dead letters
are acknowledged first, then its images and its offsets reach the index in one write. A neighbour that is away stalls
one step; the queues fill, polling goes on with the partitions paused, and the heartbeat lives.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from models.encoders.base import Encoder
from models.errors import BrokerUnavailableError, InfrastructureError
from stream import metrics
from stream.index.contract import VectorIndex
from stream.ingest.batch import Batch, Item, image_id_of, names_no_image
from stream.ingest.join import Join
from stream.ingest.known import KnownImages
from stream.ingest.prepare import Decoder, Prepare
from stream.ingest.write import Write
from stream.log.circuit_breaker import CircuitBreaker
from stream.log.consume import LogReader, Record
from stream.log.offset_committer import OffsetCommitter
from stream.log.produce import LogWriter
from stream.pictures.dataref import DatarefReader
from stream.pictures.store import PictureStore
from stream.retry import StoppedError
from stream.settings import Settings

log = logging.getLogger(__name__)

POLL_S = 0.05  # longest wait of one poll while something is under way
BUSY_POLL_S = 0.2  # between two polls while the steps are busy; two batches with the encoder last longer
IDLE_POLL_S = 0.5  # and while nothing is; a poll returns as soon as there are records
BATCH_IMAGES = {"cpu": 48, "cuda": 128}  # the CPU works picture by picture: small batches overlap better
FIRST_IMAGES = 8  # in a batch that finds the steps idle: the encoder begins before the others are decoded
QUEUE_BATCHES = 2  # between two steps; enough to overlap, little to redo after a crash
EMBED_BATCHES = 2  # with the encoder at once
BUSY_BATCHES = 3  # under way: what comes now waits for a full batch, which costs less for each of its images
MAX_BATCH_RECORDS = 512  # tags are light: a batch may carry many beside its images
HAND_OVER_S = 5.0  # for batches in flight when partitions go to another worker; it reads again what is not done
FINISH_S = 60.0  # for batches in flight when asked to end; what is not done by then is read again


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
        self._abandoned = threading.Event()
        self._stopping = threading.Event()  # asked to end: no new records
        self._aborting = threading.Event()  # a step failed: waiting makes no sense
        self._failure: BaseException | None = None
        self._to_decode: queue.Queue[Batch | None] = queue.Queue(QUEUE_BATCHES)
        self._to_embed: queue.Queue[Batch | None] = queue.Queue(QUEUE_BATCHES)
        self._to_apply: queue.Queue[Batch | None] = queue.Queue(QUEUE_BATCHES)
        self._in_flight = 0
        self._in_flight_lock = threading.Condition()
        ingest = parts.settings.ingest
        self._prepare = Prepare(parts.decoder, parts.encoder, parts.datarefs, parts.pictures, self._aborting)
        self._write = Write(
            parts.index,
            parts.writer,
            parts.pictures,
            parts.datarefs,
            breaker=CircuitBreaker(ingest.breaker_share, ingest.breaker_records),
            encoder_version=parts.encoder.version,
            aborting=self._aborting,
        )
        self._join = Join(parts.settings.kafka.join_grace_ms)
        self._encoding = ThreadPoolExecutor(EMBED_BATCHES, thread_name_prefix="embed")
        self._room = threading.Event()  # the first step took a batch
        self._polled_s = 0.0
        self._committer = OffsetCommitter(parts.reader)
        self._known = KnownImages(parts.index)
        self._busy_s = dict.fromkeys(("decode", "embed", "apply"), 0.0)
        self._pending: deque[Record] = deque()
        self._pending_bytes = 0
        self._pending_images = 0
        self._batch_images = parts.settings.encoder.batch_size or BATCH_IMAGES.get(parts.encoder.device, 32)
        self._paused: set[str] = set()

    def stop(self) -> None:
        """Ask `run` to finish; safe in a signal handler."""
        self._stopping.set()

    def stop_now(self) -> None:
        """Ask `run` to finish although the log may hold more: its broker is gone. From any thread."""
        self._abandoned.set()
        self._stopping.set()

    def run(self, *, drain: bool = False) -> None:
        """Work until `stop`; with `drain` also until the log holds nothing unread.

        Raises:
            MekikiError: a fatal one, after which nothing more was written.
        """
        threads = [
            threading.Thread(target=self._stage, args=arguments, name=arguments[0], daemon=True)
            for arguments in (
                ("decode", self._timed("decode", self._prepare.decode), self._to_decode, self._to_embed),
                ("start", self._start_embedding, self._to_embed, self._to_apply),
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
            self._encoding.shutdown(wait=False, cancel_futures=True)
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
        self._write.forget()
        self._pending = deque(record for record in self._pending if record.partition not in partitions)
        self._pending_bytes = sum(record.size_bytes for record in self._pending)
        self._pending_images = sum(record.topic == "images" for record in self._pending)
        self.wait_idle(HAND_OVER_S)
        self._committer.commit(now=True)  # the next owner commits only what it writes itself

    def _turn(self, *, accept: bool) -> None:
        """One poll, then hand on what is due."""
        self._balance()
        if self._pending and time.monotonic() - self._polled_s < BUSY_POLL_S:
            self._room.wait(POLL_S)  # more is at hand than the steps can take: the next look at the log can wait
            self._room.clear()
            self._hand_on()
            if self._pending and time.monotonic() - self._polled_s < BUSY_POLL_S:
                return
        wait_s = POLL_S if len(self._join) or self._in_flight else IDLE_POLL_S
        try:
            records = self._parts.reader.poll(0.0 if self._pending else wait_s)
        except InfrastructureError as error:  # the broker, or in a rebalance the index
            log.warning("%s", error)
            self._aborting.wait(POLL_S)
            return
        self._polled_s = time.monotonic()
        now_ms = time.time() * 1000  # compared with the producers' timestamps
        if accept:
            self._join.add(records, now_ms)
            released = self._release(now_ms)
            self._pending.extend(released)
            self._pending_bytes += sum(record.size_bytes for record in released)
            self._pending_images += sum(record.topic == "images" for record in released)
        self._hand_on()
        self._committer.commit()

    def _release(self, now_ms: float) -> list[Record]:
        known = self._known
        known.look_up(image_id_of(tag) for tag in self._join.waiting() if not names_no_image(tag))
        released = self._join.release(
            now_ms,
            lambda partition: self._caught_up("images", partition),
            lambda tag: names_no_image(tag) or image_id_of(tag) in known,
        )
        for record in released:
            if record.topic == "images":
                known.add(image_id_of(record))
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
        """Full batches as soon as there is room, smaller ones only while the steps would soon be idle."""
        while self._pending and not self._to_decode.full():
            if self._in_flight >= BUSY_BATCHES and self._pending_images < self._batch_images:
                return
            batch = self._next_batch()
            with self._in_flight_lock:
                self._in_flight += 1
            self._to_decode.put(batch)

    def _next_batch(self) -> Batch:
        items: list[Item] = []
        images = size = 0
        enough = self._batch_images if self._in_flight else min(FIRST_IMAGES, self._batch_images)
        last: dict[tuple[str, int], int] = {}
        while self._pending and len(items) < MAX_BATCH_RECORDS and images < enough:
            record = self._pending.popleft()
            size += record.size_bytes
            images += record.topic == "images"
            items.append(Item(record))
            last[record.topic, record.partition] = record.offset + 1
        self._pending_bytes -= size
        self._pending_images -= images
        offsets = [self._parts.reader.stored_offset(t, p, offset) for (t, p), offset in last.items()]
        return Batch(items, offsets, size)

    def _drained(self) -> bool:
        if self._abandoned.is_set():
            return True
        reader = self._parts.reader
        empty = not self._pending and len(self._join) == 0 and self._in_flight == 0
        return empty and all(
            self._caught_up(topic, partition)
            for topic in ("images", "tags")
            for partition in range(reader.partitions(topic))
        )

    def _caught_up(self, topic: str, partition: int) -> bool:
        """Whether everything of a partition was read; not while the broker is away and cannot say."""
        try:
            return self._parts.reader.caught_up(topic, partition)
        except BrokerUnavailableError:
            return False

    def _finish(self, threads: list[threading.Thread]) -> None:
        if self._abandoned.is_set():
            return  # neither broker nor index would take what is in flight
        deadline_s = time.monotonic() + FINISH_S
        end: list[Batch | None] = [None]  # goes behind the batches in flight as soon as there is room
        while self._failure is None and any(thread.is_alive() for thread in threads):
            if time.monotonic() > deadline_s:
                log.warning("gave up waiting for batches in flight; they will be read again")
                break
            if end and not self._to_decode.full():
                self._to_decode.put(end.pop())
            with contextlib.suppress(InfrastructureError):
                self._parts.reader.poll(0.02)  # keeps the membership alive; records are read again later
            self._committer.commit()
        if self._failure is None:
            self._committer.commit(now=True, wait=True)

    def _start_embedding(self, batch: Batch) -> None:
        batch.embedded = self._encoding.submit(self._timed("embed", self._prepare.embed), batch)

    def _apply(self, batch: Batch) -> None:
        if batch.embedded is not None:
            batch.embedded.result()
        self._timed("apply", self._write.apply)(batch)

    def _timed(self, name: str, work: Callable[[Batch], None]) -> Callable[[Batch], None]:
        def timed(batch: Batch) -> None:
            started_s = time.perf_counter()
            work(batch)
            busy_s = time.perf_counter() - started_s
            with self._in_flight_lock:
                self._busy_s[name] += busy_s
            metrics.STAGE_SECONDS.labels(name).inc(busy_s)

        return timed

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
                    work(batch)
                if target is not None:
                    target.put(batch)
                elif batch is not None:
                    self._committer.add(batch.offsets)
                    with self._in_flight_lock:
                        self._in_flight -= 1
                        self._in_flight_lock.notify_all()
                    self._room.set()
                if batch is None:
                    return
        except StoppedError:
            return
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._failure = error
            self._aborting.set()
