"""The log from now on: for somebody who has posted and wants to know what became of it.

In: topics. Out: records that come after this reader; the last ones before it may be among them. Raises
BrokerUnavailableError.
"""

from collections.abc import Sequence

from kafka import KafkaConsumer, TopicPartition

from stream.log.client import broker_errors, consumer_options
from stream.log.record import Record
from stream.log.topics import describe_topics
from stream.settings import Settings


class LogTail:
    """Reads topics from their end on. One thread only."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self._settings = settings
        described = describe_topics(settings, tuple(topics))
        self._short = {about.name: short for short, about in described.items()}
        with broker_errors(settings):
            self._consumer = KafkaConsumer(**consumer_options(settings, "tail"), fetch_max_wait_ms=100)
            places = [TopicPartition(about.name, p) for about in described.values() for p in range(about.partitions)]
            self._consumer.assign(places)
            for at, end in self._consumer.end_offsets(places).items():  # the embedded broker: of the last batch
                self._consumer.seek(at, end)

    def poll(self, timeout_s: float = 0.0) -> list[Record]:
        """Those that came since the last call; they know their offset, not their position."""
        with broker_errors(self._settings):
            polled = self._consumer.poll(int(timeout_s * 1_000))
        found = []
        for raw in (raw for raws in polled.values() for raw in raws):
            headers = tuple((name, value or b"") for name, value in raw.headers)
            place = self._short[raw.topic], raw.partition, raw.offset
            found.append(Record(*place, 0, raw.timestamp, raw.key, raw.value, headers))
        return found

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close(autocommit=False)
