"""The ingest worker: the only file that joins the steps.

    poll ──► decode ──► embed ──► write (examples, dead letters, pictures, images, offsets)
             └──── prepare ────┘
    slow pictures ──► slow lane ──► images.v1, from where they come again, decoded

Each arrow is a short queue between two threads, so decoding (child processes), embedding (device) and writing (index)
overlap; batches stay in order. Two batches are with the encoder at once: its threads take pictures of the next one
while the last pictures of the one before are still under way.

What may not be lost is never ahead of its offset: a batch's examples and dead letters are acknowledged first, then its
images reach the index, then its offsets. A neighbour that is away stalls one step; the queues fill, polling goes on
with the partitions paused, and the heartbeat lives.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from models.errors import BrokerUnavailableError, InfrastructureError
from stream import metrics
from stream.ingest.batch import Batch, Batcher
from stream.ingest.parts import Ingest
from stream.ingest.prepare import Prepare
from stream.ingest.slow_lane import SlowLane
from stream.ingest.stages import Stages
from stream.ingest.write import Write
from stream.log.reading.offset_committer import OffsetCommitter
from stream.stopping import StopRequest

log = logging.getLogger(__name__)

POLL_S = 0.05  # longest wait of one poll while something is under way
BUSY_POLL_S = 0.2  # between two polls while the steps are busy; two batches with the encoder last longer
AWAY_S = 0.5  # between two polls while a neighbour is away
IDLE_POLL_S = 0.5  # and while nothing is; a poll returns as soon as there are records
BATCH_IMAGES = {"cpu": 48, "cuda": 128}  # the CPU works picture by picture: small batches overlap better
EMBED_BATCHES = 2  # with the encoder at once
BUSY_BATCHES = 3  # under way: what comes now waits for a full batch, which costs less for each of its images
HAND_OVER_S = 5.0  # for batches in flight when partitions go to another worker; it reads again what is not done
FINISH_S = 60.0  # for batches in flight when asked to end; what is not done by then is read again
SLOW_END_S = 0.2  # for a slow picture under way when asked to end; it is decoded again
TOPICS = ("images", "operations")


class IngestPipeline:
    """Runs the steps until `stopping` is asked for, then finishes what is in flight."""

    def __init__(self, parts: Ingest, stopping: StopRequest) -> None:
        self._parts = parts
        self.stopping = stopping  # no new records once it is asked for
        self._stages = stages = Stages((self._decode, self._embed, self._apply), self._done)
        self._slow_lane = SlowLane(parts, stages.aborting)
        self._prepare, self._write = (
            Prepare(parts, stages.aborting),
            Write(parts, self._slow_lane, stages.aborting),
        )
        self._encoding = ThreadPoolExecutor(EMBED_BATCHES, thread_name_prefix="embed")
        self._polled_s = 0.0
        self._committer = OffsetCommitter(parts.reader)
        batch_images = parts.settings.encoder.batch_size or BATCH_IMAGES.get(parts.encoder.device, 32)
        self._pending = Batcher(parts.reader, batch_images)
        self._paused = False

    def run(self, *, drain: bool = False) -> None:
        """Work until `stopping` is asked for; with `drain` also until the log holds nothing unread.

        Raises:
            MekikiError: a fatal one, after which nothing more was written.
        """
        stages = self._stages
        stages.start()
        self._slow_lane.start()
        try:
            while stages.failure is None and not (self.stopping.asked.is_set() and (not drain or self._drained())):
                self._turn(accept=drain or not self.stopping.asked.is_set())
            self._finish()
        finally:
            stages.aborting.set()
            self._slow_lane.end(SLOW_END_S)
            self._encoding.shutdown(wait=False, cancel_futures=True)
        log.info("busy seconds by step: %s", {name: round(busy_s, 2) for name, busy_s in stages.busy_s.items()})
        if stages.failure is not None:
            raise stages.failure

    @property
    def in_flight(self) -> int:
        """Batches that a step has, or that wait for one."""
        return self._stages.in_flight

    @property
    def idle(self) -> bool:
        """Whether no record waits for a batch or is in one."""
        return not (self._pending or self._stages.in_flight)

    def drop_partitions(self, partitions: set[tuple[str, int]]) -> None:
        """These go to another worker, topic and partition: finish what is in flight, forget what is not."""
        self._write.forget()
        self._pending.drop(partitions)
        self._stages.wait_idle(HAND_OVER_S)
        self._committer.commit(now=True)  # the next owner commits only what it writes itself

    def partitions_came(self) -> None:
        """It is known where partitions begin that came: forget what is older.

        Also what was remembered since `drop_partitions`: another worker may have had them in between.
        """
        self._write.forget()

    def _turn(self, *, accept: bool) -> None:
        """One poll, then hand on what is due."""
        self._balance()
        if self._pending and time.monotonic() - self._polled_s < BUSY_POLL_S:
            self._stages.room.wait(POLL_S)  # more is at hand than the steps can take: the next look at the log can wait
            self._stages.room.clear()
            self._hand_on()
            if self._pending and time.monotonic() - self._polled_s < BUSY_POLL_S:
                return
        wait_s = POLL_S if self._stages.in_flight else IDLE_POLL_S
        try:
            records = self._parts.reader.poll(0.0 if self._pending else wait_s)
        except InfrastructureError as error:  # the broker, or in a rebalance the index
            log.warning("%s", error)
            self._stages.aborting.wait(AWAY_S)
            return
        self._polled_s = time.monotonic()
        if accept:
            self._pending.add(records)
        self._hand_on()
        self._committer.commit()

    def _balance(self) -> None:
        """Pause what is read faster than it is used."""
        limit, held_bytes = self._parts.settings.ingest.queue_bytes, self._pending.bytes
        metrics.QUEUED_BYTES.set(held_bytes)
        if held_bytes > limit or (self._paused and held_bytes >= limit / 2):
            self._paused = True
            self._on_topics(self._parts.reader.pause)  # every turn: a rebalance may have brought others
        elif self._paused:
            self._paused = False
            self._on_topics(self._parts.reader.resume)

    @staticmethod
    def _on_topics(change: Callable[[str], None]) -> None:
        for topic in TOPICS:
            change(topic)

    def _hand_on(self) -> None:
        """Full batches as soon as there is room, smaller ones only while the steps would soon be idle."""
        stages = self._stages
        while self._pending and not stages.full:
            if stages.in_flight >= BUSY_BATCHES and not self._pending.has_full_batch:
                return
            stages.put(self._pending.take(idle=stages.in_flight == 0))

    def _drained(self) -> bool:
        if self.stopping.at_once.is_set():
            return True
        reader = self._parts.reader
        return self.idle and all(
            self._caught_up(topic, partition) for topic in TOPICS for partition in range(reader.partitions(topic))
        )

    def _caught_up(self, topic: str, partition: int) -> bool:
        """Whether everything of a partition was read; not while the broker is away and cannot say."""
        try:
            return self._parts.reader.caught_up(topic, partition)
        except BrokerUnavailableError:
            return False

    def _finish(self) -> None:
        if self.stopping.at_once.is_set():
            return  # neither broker nor index would take what is in flight
        deadline_s = time.monotonic() + FINISH_S
        stages, ended = self._stages, False
        while stages.failure is None and stages.alive:
            if time.monotonic() > deadline_s:
                log.warning("gave up waiting for batches in flight; they will be read again")
                break
            if not ended and not stages.full:
                stages.put(None)
                ended = True
            with contextlib.suppress(InfrastructureError):
                self._parts.reader.poll(0.02)  # keeps the membership alive; records are read again later
            self._committer.commit()
        if stages.failure is None:
            self._committer.commit(now=True, wait=True)
            if not stages.in_flight:
                self._parts.index.flush()

    def _decode(self, batch: Batch) -> None:
        self._stages.timed("decode", self._prepare.decode)(batch)

    def _embed(self, batch: Batch) -> None:
        batch.embedded = self._encoding.submit(self._stages.timed("embed", self._prepare.embed), batch)

    def _apply(self, batch: Batch) -> None:
        if batch.embedded is not None:
            batch.embedded.result()
        self._stages.timed("apply", self._write.apply)(batch)

    def _done(self, batch: Batch) -> None:
        self._committer.add(batch.offsets)
