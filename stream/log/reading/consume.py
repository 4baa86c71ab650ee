"""Reading the log from where the state stands.

In: topics, and the offsets that were stored together with the state they produced. Out: records. Kafka's own commits
are for lag tools alone: made after the state is durable, and never read. Raises OffsetLostError where going on
would skip or repeat silently, BrokerUnavailableError while the broker is away.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from models.errors import InfrastructureError, MekikiError, OffsetLostError
from stream.log.client import broker_errors, consumer_options
from stream.log.reading.consumer import commit, finish_rejoining, unpark
from stream.log.reading.growth import GROWING, Sizes, grown_by, never_grew
from stream.log.reading.places import Places
from stream.log.reading.positions import StoredOffset
from stream.log.record import Record
from stream.log.unreadable.batches import report_unreadable
from stream.log.unreadable.partitions import UnreadablePartitions
from stream.settings import Settings

log = logging.getLogger(__name__)

HELD_S = 0.5  # between two looks at whether a new epoch may begin
FETCH_WAIT_MS = 100  # the embedded broker answers an empty fetch only after it, whatever arrives meanwhile


class LogReader(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python is untyped
    """A Kafka consumer that starts where the state stands. One thread only.

    With `group_wide` the broker shares partitions among the members of the group; otherwise this reader takes all
    partitions of its topics.
    """

    def __init__(
        self,
        settings: Settings,
        topics: tuple[str, ...],
        group: str,
        stored: Callable[[], Iterable[StoredOffset]],
        *,
        group_wide: bool = False,
        fetch_wait_ms: int = FETCH_WAIT_MS,
        grown: Callable[[str], Sizes] = never_grew,
        on_revoked: Callable[[set[tuple[str, int]]], None] | None = None,
        on_assigned: Callable[[], None] | None = None,
    ) -> None:
        """`grown` says how images.v1 grew, given its topic id; `on_assigned` comes before records of new partitions."""
        self._settings = settings
        self._on_revoked, self._on_assigned = on_revoked, on_assigned
        self._places = Places(settings, topics, stored, grown)
        self._failure: MekikiError | None = None
        self.assigned: frozenset[int] = frozenset()  # partitions of images.v1 that are read here; any thread may look
        self._unplaced: list[TopicPartition] = []  # came while the state was away: not known yet where to begin
        self._looked_s = 0.0  # when those were looked at that are held
        with broker_errors(settings):
            self._consumer = KafkaConsumer(**consumer_options(settings, group), fetch_max_wait_ms=fetch_wait_ms)
            report_unreadable(self._consumer)
            described = self._places.described
            self._unreadable = UnreadablePartitions(self._consumer, described, partial(LogReader, settings))
            self._places.choose()
            if group_wide:
                self._consumer.subscribe(list(self._places.short), listener=self)
            else:
                self._consumer.assign(self._all())
                self._check_expired(self._all())
                self._seek(self._all(), ())

    def _all(self) -> list[TopicPartition]:
        return [TopicPartition(d.name, p) for d in self._places.described.values() for p in range(d.partitions)]

    def _seek(self, partitions: Sequence[TopicPartition], stored: Sequence[StoredOffset]) -> None:
        """Go where the state stands; nothing here blocks, so that a rebalance listener may call it."""
        for at in partitions:
            place = self._places.short[at.topic], at.partition
            offset = self._places.start(*place).offset
            if offset is None:
                self._consumer.seek_to_beginning(at)
            else:
                self._consumer.seek(at, offset)
            self._places.begin(*place, stored)
        self.assigned = frozenset(at.partition for at in self._assigned(GROWING))
        self._hold()

    def _hold(self) -> None:
        self._consumer.pause(*(at for at in self._assigned(GROWING) if at.partition in self._places.growth.held))

    def _release(self) -> None:
        """Go on with what was held, once the epoch before is in the state."""
        growth = self._places.growth
        if growth.held and time.monotonic() - self._looked_s >= HELD_S:
            self._looked_s = time.monotonic()
            free = growth.release(self._places.stored())
            if free:
                log.info("partitions %s of images go on in a new epoch", free)
                self._consumer.resume(*(at for at in self._assigned(GROWING) if at.partition in free))

    def _place(self, partitions: Sequence[TopicPartition]) -> None:
        """Go to the stored offsets of partitions that came; another member may have moved them. Raises nothing."""
        self._failure, self._unplaced = None, []
        self._unreadable.drop(partitions)
        try:
            for at in sorted(partitions, reverse=True):
                self._places.notice(self._places.short[at.topic], at.partition + 1)
            stored = self._places.choose()
            self._seek([at for at in partitions if at in self._consumer.assignment()], stored)
            if self._on_assigned is not None:
                self._on_assigned()
        except MekikiError as error:
            self._failure = error
            self._unplaced = list(partitions) if isinstance(error, InfrastructureError) else []

    def _check_expired(self, partitions: Sequence[TopicPartition]) -> None:
        """The embedded broker does not say that an offset is gone, so it is asked at the start."""
        first = self._consumer.beginning_offsets(partitions)
        for at in partitions:
            offset = self._places.start(self._places.short[at.topic], at.partition).offset
            if offset is not None and offset < first[at]:
                raise OffsetLostError(
                    f"topic {at.topic} partition {at.partition}: offset {offset} has expired, the log begins at "
                    f"{first[at]}; restore the log or start with an empty state (retention must outlast the state)"
                )

    def poll(self, timeout_s: float) -> list[Record]:
        """The next records, each partition in order. Also keeps the membership alive: call it even when paused.

        Raises:
            OffsetLostError: a partition cannot be read from where the state stands.
            CheckpointError: it cannot be read on, and nobody can go past that.
            InfrastructureError: the broker refuses for now, or in a rebalance the state; the next poll tries again.
        """
        if self._unplaced:
            self._place(self._unplaced)
        if self._failure is not None:
            raise self._failure
        self._release()
        try:
            with broker_errors(self._settings):
                polled = self._poll(timeout_s)
        finally:
            if self._failure is not None:
                raise self._failure
        lost = [replace(self._record(raw), lost=True) for raw in self._unreadable.take_lost()]
        return lost + [record for at, raws in polled.items() for record in self._records(at, raws)]

    def _poll(self, timeout_s: float) -> dict[TopicPartition, list[Any]]:
        unpark(self._consumer)
        finish_rejoining(self._consumer)
        try:
            return self._unreadable.poll(int(timeout_s * 1000))
        except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
            raise OffsetLostError(
                f"log {error.args[0] if error.args else ''}: the stored offset is not in the log any more; "
                "restore the log or start with an empty state"
            ) from error

    def _records(self, at: TopicPartition, raws: Sequence[Any]) -> list[Record]:
        """The records of one partition, up to a mark that begins an epoch."""
        found: list[Record] = []
        for raw in raws:
            found.append(self._record(raw))
            event = grown_by(found[-1]) if found[-1].topic == GROWING else None
            if event is not None and self._places.begins_epoch(event, found[-1]):
                self._consumer.seek(at, raw.offset + 1)
                self._hold()
                break
        return found

    def _record(self, raw: Any) -> Record:
        short = self._places.short[raw.topic]
        position = self._places.position(short, raw.partition, raw.offset)
        headers = tuple((name, value or b"") for name, value in raw.headers)
        return Record(short, raw.partition, raw.offset, position, raw.timestamp, raw.key, raw.value, headers)

    def caught_up(self, topic: str, partition: int) -> bool:
        """True if `poll` returned what the broker holds of this partition now and what can be read; asks the broker.

        The high-water mark of the last fetch is of the past: while a partition is paused, or a fetch is on its way,
        it is stale. The broker's answer alone is not enough either: the embedded one names the beginning of the last
        batch, not its end.
        """
        at = TopicPartition(self._places.described[topic].name, partition)
        if at not in self._consumer.assignment():
            return False
        if at in self._unreadable:
            return True
        high, position = self._consumer.highwater(at), self._consumer.position(at)
        if high is None or position < high:
            return False
        with broker_errors(self._settings):
            return bool(position >= self._consumer.end_offsets([at])[at])

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""
        return self._places.described[topic].partitions

    def stored_offset(self, topic: str, partition: int, offset: int) -> StoredOffset:
        """`offset` (the next to read) in the form that is kept with the state."""
        return self._places.stored_offset(topic, partition, offset)

    def home(self, record: Record) -> int:
        """The partition where a record belongs: that of its key, where a topic has several."""
        return self._places.home(record)

    def pause(self, topic: str) -> None:
        """Return no records of this topic from `poll` until `resume`."""
        self._consumer.pause(*self._assigned(topic))

    def resume(self, topic: str) -> None:
        """Undo `pause`."""
        self._consumer.resume(*(at for at in self._assigned(topic) if at not in self._unreadable))
        self._hold()

    def _assigned(self, topic: str) -> list[TopicPartition]:
        return [at for at in self._consumer.assignment() if self._places.short[at.topic] == topic]

    def commit_offsets(self, offsets: Iterable[StoredOffset], *, wait: bool = False) -> None:
        """Commit to Kafka what is durable already, for lag tools; a failure is only logged."""
        commits = {
            TopicPartition(self._places.described[o.topic].name, o.partition): OffsetAndMetadata(o.offset, "", -1)
            for o in offsets
        }
        mine = {at: value for at, value in commits.items() if at in self._consumer.assignment()}
        if mine:
            commit(self._consumer, mine, wait=wait)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let what is in flight of these partitions finish, so that the next owner need not repeat it."""
        self._unreadable.drop(revoked)
        if self._on_revoked is not None:
            self._on_revoked({(self._places.short[at.topic], at.partition) for at in revoked})

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """What is raised here is swallowed by kafka-python; `poll` raises it."""
        places = sorted(f"{self._places.short[at.topic]}/{at.partition}" for at in assigned)
        log.info("partitions that are ours from now on: %s", ", ".join(places) or "none")
        self._place(list(assigned))

    def close(self) -> None:
        """Leave the group."""
        self._unreadable.close()
        self._consumer.close(autocommit=False)
