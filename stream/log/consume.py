"""Reading the log from where the state stands.

In: topics, and the offsets that were stored together with the state they produced. Out: records. Kafka's own commits
are for lag tools alone: made after the state is durable, and never read. Raises OffsetLostError where going on
would skip or repeat silently, BrokerUnavailableError while the broker is away.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from models.errors import InfrastructureError, MekikiError, OffsetLostError
from stream.log.client import broker_errors, client_options, finish_rejoining
from stream.log.positions import Start, StoredOffset, check_partitions, position_of, starts
from stream.log.record import Record
from stream.log.topics import describe_topics
from stream.log.unreadable.batches import FETCH_BYTES, report_unreadable
from stream.log.unreadable.partitions import UnreadablePartitions
from stream.settings import Settings

log = logging.getLogger(__name__)

METADATA_AGE_MS = 30_000  # until partitions that somebody adds are noticed
COMMIT_TIMEOUT_MS = 2_000  # of the last commit before a worker ends
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
        on_revoked: Callable[[set[tuple[str, int]]], None] | None = None,
    ) -> None:
        self._settings = settings
        self._stored = stored
        self._on_revoked = on_revoked
        self._described = describe_topics(settings, topics)
        self._short = {d.name: short for short, d in self._described.items()}
        self._starts: dict[tuple[str, int], Start] = {}
        self._failure: MekikiError | None = None
        self._unplaced: list[TopicPartition] = []  # came while the state was away: not known yet where to begin
        with broker_errors(settings):
            self._consumer = KafkaConsumer(**self._options(group), fetch_max_wait_ms=fetch_wait_ms)
            report_unreadable(self._consumer)
            self._unreadable = UnreadablePartitions(self._consumer, self._described, partial(LogReader, settings))
            self._choose()
            if group_wide:
                self._consumer.subscribe([d.name for d in self._described.values()], listener=self)
            else:
                self._consumer.assign(self._all())
                self._check_expired(self._all())
                self._seek(self._all())

    def _options(self, group: str) -> dict[str, Any]:
        session_ms = self._settings.kafka.session_timeout_ms
        return client_options(self._settings) | {
            "group_id": f"{self._settings.kafka.topic_prefix}.{group}",
            "auto_offset_reset": "none",
            "enable_auto_commit": False,
            "session_timeout_ms": session_ms,
            "heartbeat_interval_ms": max(300, session_ms // 4),
            "max_poll_interval_ms": 300_000,
            "metadata_max_age_ms": METADATA_AGE_MS,
            "max_partition_fetch_bytes": FETCH_BYTES,
            "max_poll_records": 2_000,
            "request_timeout_ms": max(self._settings.kafka.request_timeout_ms, session_ms + 5_000),
        }

    def _all(self) -> list[TopicPartition]:
        return [TopicPartition(d.name, p) for d in self._described.values() for p in range(d.partitions)]

    def _choose(self) -> None:
        self._starts = starts(self._described, self._stored(), new_log_allowed=self._settings.embedded)

    def _seek(self, partitions: Sequence[TopicPartition]) -> None:
        """Go where the state stands; nothing here blocks, so that a rebalance listener may call it."""
        for at in partitions:
            start = self._starts[self._short[at.topic], at.partition]
            if start.offset is None:
                self._consumer.seek_to_beginning(at)
            else:
                self._consumer.seek(at, start.offset)

    def _place(self, partitions: Sequence[TopicPartition]) -> None:
        """Go to the stored offsets of partitions that came; another member may have moved them. Raises nothing."""
        self._failure, self._unplaced = None, []
        self._unreadable.drop(partitions)
        try:
            for topic in self._described.values():
                ours = [at.partition + 1 for at in partitions if at.topic == topic.name]
                check_partitions(topic, max([topic.partitions, *ours]), (topic.partitions,))
            self._choose()
            self._seek([at for at in partitions if at in self._consumer.assignment()])
        except MekikiError as error:
            self._failure = error
            self._unplaced = list(partitions) if isinstance(error, InfrastructureError) else []

    def _check_expired(self, partitions: Sequence[TopicPartition]) -> None:
        """The embedded broker does not say that an offset is gone, so it is asked at the start."""
        first = self._consumer.beginning_offsets(partitions)
        for at in partitions:
            offset = self._starts[self._short[at.topic], at.partition].offset
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
        try:
            with broker_errors(self._settings):
                polled = self._poll(timeout_s)
        finally:
            if self._failure is not None:
                raise self._failure
        lost = [replace(self._record(raw), lost=True) for raw in self._unreadable.take_lost()]
        return lost + [self._record(raw) for raws in polled.values() for raw in raws]

    def _poll(self, timeout_s: float) -> dict[TopicPartition, list[Any]]:
        self._unpark()
        finish_rejoining(self._consumer)
        try:
            return self._unreadable.poll(int(timeout_s * 1000))
        except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
            raise OffsetLostError(
                f"log {error.args[0] if error.args else ''}: the stored offset is not in the log any more; "
                "restore the log or start with an empty state"
            ) from error

    def _record(self, raw: Any) -> Record:
        short = self._short[raw.topic]
        position = position_of(self._starts[short, raw.partition].epoch, raw.offset)
        headers = tuple((name, value or b"") for name, value in raw.headers)
        return Record(short, raw.partition, raw.offset, position, raw.timestamp, raw.key, raw.value, headers)

    def caught_up(self, topic: str, partition: int) -> bool:
        """True if `poll` returned what the broker holds of this partition now and what can be read; asks the broker.

        The high-water mark of the last fetch is of the past: while a partition is paused, or a fetch is on its way,
        it is stale. The broker's answer alone is not enough either: the embedded one names the beginning of the last
        batch, not its end.
        """
        at = TopicPartition(self._described[topic].name, partition)
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
        return self._described[topic].partitions

    def stored_offset(self, topic: str, partition: int, offset: int) -> StoredOffset:
        """`offset` (the next to read) in the form that is kept with the state."""
        start = self._starts[topic, partition]
        partitions = self._described[topic].partitions
        return StoredOffset(topic, partition, offset, start.topic_id, start.epoch, partitions)

    def pause(self, topic: str) -> None:
        """Return no records of this topic from `poll` until `resume`."""
        self._consumer.pause(*self._assigned(topic))

    def resume(self, topic: str) -> None:
        """Undo `pause`."""
        self._consumer.resume(*(at for at in self._assigned(topic) if at not in self._unreadable))

    def _unpark(self) -> None:
        """Let kafka-python take up again what it set aside while a partition was paused.

        3.0.12 does so only when no batch is in line, and takes one that is used up for one in line: a partition that
        was resumed while others went on would never be fetched again.
        """
        fetcher: Any = getattr(self._consumer, "_fetcher", None)
        if getattr(fetcher, "_paused_partition_records", None) and not fetcher._next_partition_records:
            fetcher._next_partition_records = None

    def _assigned(self, topic: str) -> list[TopicPartition]:
        return [at for at in self._consumer.assignment() if self._short[at.topic] == topic]

    def commit_offsets(self, offsets: Iterable[StoredOffset], *, wait: bool = False) -> None:
        """Commit to Kafka what is durable already, for lag tools; a failure is only logged."""
        commits = {
            TopicPartition(self._described[o.topic].name, o.partition): OffsetAndMetadata(o.offset, "", -1)
            for o in offsets
        }
        mine = {at: value for at, value in commits.items() if at in self._consumer.assignment()}
        if mine:
            try:
                if wait:
                    self._consumer.commit(mine, timeout_ms=COMMIT_TIMEOUT_MS)
                else:
                    self._consumer.commit_async(mine, callback=_log_failed_commit)
            except (KafkaError, AssertionError) as error:
                log.debug("offsets not committed: %s", error)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let what is in flight of these partitions finish, so that the next owner need not repeat it."""
        self._unreadable.drop(revoked)
        if self._on_revoked is not None:
            self._on_revoked({(self._short[at.topic], at.partition) for at in revoked})

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """What is raised here is swallowed by kafka-python; `poll` raises it."""
        places = sorted(f"{self._short[at.topic]}/{at.partition}" for at in assigned)
        log.info("partitions that are ours from now on: %s", ", ".join(places) or "none")
        self._place(list(assigned))

    def close(self) -> None:
        """Leave the group."""
        self._unreadable.close()
        self._consumer.close(autocommit=False)


def _log_failed_commit(offsets: object, error: object) -> None:
    if isinstance(error, Exception):
        log.debug("offsets not committed: %s", error)
