"""Writing to the log: events out, acknowledged by all replicas, idempotent producer.

`flush` is the gate: it returns when everything sent before is durable, or raises BrokerUnavailableError.
"""

from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from models.errors import BrokerUnavailableError, PolicyError
from stream.events.codec import Headers, encode
from stream.events.schema import Event
from stream.log.client import broker_errors, client_options
from stream.log.topics import HEADER_BYTES, full_name
from stream.settings import Settings

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
CLOSE_TIMEOUT_S = 5.0  # kafka-python waits for ever without one
SEND_TIMEOUT_S = 10.0  # for one event that a person waits for
FLUSH_TIMEOUT_S = 60.0
BATCH_BYTES = 512 * 1024  # of one partition in a request; the 16 KB of kafka-python are less than one picture


class LogWriter:
    """A Kafka producer. Thread-safe for `send`; `flush` from one thread."""

    def __init__(self, settings: Settings, source: str, *, linger_ms: int = 5, block_ms: int = 30_000) -> None:
        """`block_ms`: how long a send may wait for a broker that is away."""
        self._settings = settings
        self._source = source
        self._pending: list[Any] = []
        with broker_errors(settings):
            self._producer = KafkaProducer(
                **client_options(settings),
                acks="all",
                linger_ms=linger_ms,
                batch_size=BATCH_BYTES,
                max_request_size=settings.kafka.max_record_bytes + 2 * HEADER_BYTES,
                delivery_timeout_ms=max(settings.kafka.request_timeout_ms + linger_ms, 30_000),
                max_block_ms=min(settings.kafka.request_timeout_ms, block_ms),
            )

    def send_event(self, event: Event, *, event_id: str | None = None) -> None:
        """Queue one event on its topic."""
        self.send(event.topic, *encode(event, source=self._source, event_id=event_id))

    def send_now(self, event: Event, *, event_id: str | None = None, timeout_s: float = SEND_TIMEOUT_S) -> int:
        """Send one event and wait for its acknowledgement; its offset. From any thread.

        Raises:
            BrokerUnavailableError: none came in time.
            PolicyError: reason `too_large`, the record is larger than its topic takes.
        """
        key, value, headers = encode(event, source=self._source, event_id=event_id)
        with broker_errors(self._settings):
            try:
                sent = self._producer.send(full_name(self._settings, event.topic), value, key=key, headers=headers)
                return int(sent.get(timeout=timeout_s).offset)
            except _TOO_LARGE:
                raise PolicyError("event: larger than its topic takes; say less in one", "too_large") from None

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Queue one record; `topic` is our short name. Without key and value it gets an empty value: kafka-python sends
        none that has neither, and a dead letter may be one.

        Raises:
            PolicyError: the record is larger than the broker takes.
            BrokerUnavailableError: the broker refuses or does not answer.
        """
        with broker_errors(self._settings):
            try:
                sent = self._producer.send(
                    full_name(self._settings, topic), b"" if key is value is None else value, key=key, headers=headers,
                    partition=partition, timestamp_ms=timestamp_ms,
                )  # fmt: skip
            except MessageSizeTooLargeError:
                limit = self._settings.kafka.max_record_bytes
                raise PolicyError(
                    f"record of {len(value or b'')} bytes: expected at most {limit}; send a dataref"
                ) from None
        self._pending.append(sent)

    def flush(self) -> None:
        """Wait until everything sent is acknowledged.

        Raises:
            BrokerUnavailableError: something was not; the caller sends it again.
            PolicyError: a topic does not take records that large.
        """
        waiting, self._pending = self._pending, []
        with broker_errors(self._settings):
            self._producer.flush(timeout=FLUSH_TIMEOUT_S)
            for sent in waiting:
                if sent.failed() and isinstance(sent.exception, _TOO_LARGE):
                    raise PolicyError(f"record: larger than its topic takes ({sent.exception})")
                if sent.failed():
                    raise sent.exception if isinstance(sent.exception, KafkaError) else KafkaError(str(sent.exception))
                if not sent.is_done:
                    raise BrokerUnavailableError(
                        f"Kafka: no acknowledgement within {FLUSH_TIMEOUT_S:.0f} s; is a broker up?"
                    )

    def close(self) -> None:
        """Give up what is not acknowledged within five seconds."""
        self._producer.close(timeout=CLOSE_TIMEOUT_S)
