"""Record batches that a consumer cannot read: a wrong checksum, bytes that no codec unpacks, records without sense.

In: a consumer. Out: it raises UnreadableBatchError, which says where the batch stands and where the next one begins.
As it is, kafka-python 3.0.12 raises an error that names no place, and the next poll never returns.
"""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError, KafkaError

from models.errors import BrokerUnavailableError
from stream.log.client import FETCH_BYTES, broker_errors, client_options
from stream.settings import Settings

FETCH_WAIT_MS = 100  # of a look at one offset, until the next try
LOOK_TIMEOUT_S = 10.0  # for a look at one offset; the broker answers in milliseconds


@dataclass(frozen=True)
class UnreadableBatch:
    """Offsets from `start` to before `end` are in it; reading stands at `offset`."""

    at: TopicPartition
    start: int
    offset: int
    end: int
    why: str

    def within(self, high: int | None) -> "UnreadableBatch":
        """The same, for a log that ends at `high`: a header that says otherwise is damaged too."""
        return self if high is None or self.end <= high else replace(self, start=self.offset, end=self.offset + 1)


class UnreadableBatchError(Exception):
    """Raised by `poll` of a consumer after `report_unreadable`; the next poll goes on with other partitions."""

    def __init__(self, batch: UnreadableBatch) -> None:
        super().__init__(f"{batch.at.topic} {batch.at.partition}/{batch.offset}: {batch.why}")
        self.batch = batch


def report_unreadable(consumer: Any) -> None:
    """Let a consumer raise UnreadableBatchError where a batch cannot be read."""
    fetcher = consumer._fetcher
    fetcher.PartitionRecords = _Records
    parse = fetcher._parse_fetched_data

    def parse_or_say_where(fetched: Any) -> Any:
        try:
            return parse(fetched)
        except KafkaError as error:
            if isinstance(error, CorruptRecordError) or type(error) is KafkaError:  # the broker's word; no whole batch
                at, offset = fetched.topic_partition, fetched.fetched_offset
                raise UnreadableBatchError(_batch(at, offset, None, error)) from error
            raise

    fetcher._parse_fetched_data = parse_or_say_where


class _Records(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python is untyped
    """What one fetch brought of one partition."""

    def __init__(self, fetch_offset: int, tp: TopicPartition, records: Any, **options: Any) -> None:
        self._batches = _Batches(records)
        super().__init__(fetch_offset, tp, self._batches, **options)

    def take(self, n: int | None = None) -> Any:
        """The next records.

        Raises:
            UnreadableBatchError: those before it were taken.
        """
        try:
            return super().take(n)
        except Exception as error:  # whatever a codec raises
            self.drain()
            offset = max(self.next_fetch_offset, self.fetch_offset)
            raise UnreadableBatchError(_batch(self.topic_partition, offset, self._batches.last, error)) from error


class _Batches:
    """Batches one after another, and the last of them."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self.last: Any = None

    def next_batch(self) -> Any:
        """The next batch, None behind the last."""
        self.last = None  # of one without a header there is nothing to say
        self.last = self._batches.next_batch()
        return self.last


def _batch(at: TopicPartition, offset: int, batch: Any, error: Exception) -> UnreadableBatch:
    """Its end is what the header says, where that makes sense; else only one offset is known to be in it."""
    why = f"{type(error).__name__}: {error}"
    if isinstance(error, CorruptRecordError) and "crc" in str(error):
        why = "its checksum is wrong"
    if batch is not None and batch.magic == 2 and batch.records_count == batch.last_offset_delta + 1:
        start, end = batch.base_offset, batch.next_offset
        if start <= offset < end:
            return UnreadableBatch(at, start, offset, end, why)
    return UnreadableBatch(at, offset, offset, offset + 1, why)


def read_at(settings: Settings, places: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | UnreadableBatch]:
    """What stands at an offset of each partition: the offset of the first record from there on, or a batch that
    cannot be read. A partition where nothing does is missing.

    Raises:
        BrokerUnavailableError: the broker does not say.
    """
    options = client_options(settings) | {
        "group_id": None, "auto_offset_reset": "latest", "enable_auto_commit": False, "max_poll_records": 1,
        "max_partition_fetch_bytes": FETCH_BYTES, "fetch_max_wait_ms": FETCH_WAIT_MS,
    }  # fmt: skip
    with broker_errors(settings), closing(KafkaConsumer(**options)) as consumer:
        report_unreadable(consumer)
        found = {at: _look(consumer, at, offset) for at, offset in places.items()}
    return {at: what for at, what in found.items() if what is not None}


def _look(consumer: Any, at: TopicPartition, offset: int) -> int | UnreadableBatch | None:
    consumer.assign([at])
    consumer.seek(at, offset)
    end = consumer.end_offsets([at])[at]
    until_s = time.monotonic() + LOOK_TIMEOUT_S
    while time.monotonic() < until_s:
        try:
            records = consumer.poll(timeout_ms=FETCH_WAIT_MS).get(at)
        except UnreadableBatchError as error:
            return error.batch if error.batch.offset >= offset else None
        if records:  # before `offset` where the log ends before it
            return int(records[0].offset) if records[0].offset >= offset else None
        high = consumer.highwater(at)
        if high is not None and consumer.position(at) >= max(high, end):
            return None
    raise BrokerUnavailableError(f"topic {at.topic} partition {at.partition} offset {offset}: no answer; try again")
