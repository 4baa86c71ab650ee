"""Dead letters from now on: for somebody who has posted and wants to know what became of it.

In: topics. Out: dead letters that come after this reader; the last ones before it may be among them. Raises
BrokerUnavailableError.
"""

from collections.abc import Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from stream.log.client import broker_errors, consumer_options
from stream.log.dead_letter import DeadLetter, read_dead_letter
from stream.log.record import Record
from stream.log.topics import describe_topics
from stream.settings import Settings


class DeadLetterTail:
    """Reads the dead letters of topics from their end on. One thread only."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self._settings = settings
        described = describe_topics(settings, tuple(f"{topic}.dlq" for topic in topics))
        self._short = {about.name: short.removesuffix(".dlq") for short, about in described.items()}
        with broker_errors(settings):
            self._consumer = KafkaConsumer(**consumer_options(settings, "dlq-tail"), fetch_max_wait_ms=100)
            places = [TopicPartition(about.name, p) for about in described.values() for p in range(about.partitions)]
            self._consumer.assign(places)
            for at, end in self._consumer.end_offsets(places).items():
                self._consumer.seek(at, end)

    def poll(self, timeout_s: float = 0.0) -> list[DeadLetter]:
        """Those that came since the last call."""
        with broker_errors(self._settings):
            polled = self._consumer.poll(int(timeout_s * 1_000))
        letters = (read_dead_letter(self._short[at.topic], _record(raw)) for at in polled for raw in polled[at])
        return [letter for letter in letters if letter is not None]

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close(autocommit=False)


def _record(raw: Any) -> Record:
    headers = tuple((name, value or b"") for name, value in raw.headers)
    return Record(raw.topic, raw.partition, raw.offset, 0, raw.timestamp, raw.key, raw.value, headers)
