"""What no step can take: original bytes and headers, with the reason, on `<topic>.dlq`.

In: the record and its PoisonError. Out: one record that can be listed, read and replayed. The circuit breaker stops a
worker (CircuitBreakerError) when too large a share of the last records is dead: then the producer or we are broken, and
filling a topic helps nobody.
"""

import hashlib
from collections import deque
from dataclasses import dataclass

from models.errors import CircuitBreakerError, PoisonError
from stream.events.codec import Headers
from stream.log.record import Record

PREFIX = "mekiki_dlq_"
REASON, TEXT, ORIGIN, REPLAYED = (PREFIX + name for name in ("reason", "text", "origin", "replayed"))
MAX_TEXT_CHARS = 1_000  # of an error message; headers are no place for novels


@dataclass(frozen=True)
class DeadLetter:
    """A dead record as `mekiki dlq` shows it. `id` names it to `show` and `replay`."""

    topic: str
    origin: str
    reason: str
    text: str
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def id(self) -> str:
        """Short and stable: a hash of where the record came from."""
        return hashlib.sha256(f"{self.topic}/{self.origin}".encode()).hexdigest()[:12]


def dead_letter_headers(record: Record, error: PoisonError) -> Headers:
    """The original headers, then ours; ours in the original are dropped, they would hide or forge a dead letter."""
    origin = f"{record.partition}/{record.position}/{record.offset}" + (f"/{record.part}" if record.part else "")
    return [
        *(header for header in record.headers if not header[0].startswith(PREFIX)),
        (REASON, error.reason.encode()),
        (TEXT, str(error)[:MAX_TEXT_CHARS].encode(errors="replace")),
        (ORIGIN, origin.encode()),
    ]


def read_dead_letter(topic: str, record: Record) -> DeadLetter | None:
    """The dead letter a `<topic>.dlq` record stands for; None for a replay mark."""
    named = dict(record.headers)
    if REPLAYED in named or REASON not in named:
        return None
    return DeadLetter(
        topic=topic,
        origin=named[ORIGIN].decode(),
        reason=named[REASON].decode(),
        text=named[TEXT].decode(),
        timestamp_ms=record.timestamp_ms,
        key=record.key,
        value=record.value,
        headers=[(name, value) for name, value in record.headers if not name.startswith(PREFIX)],
    )


class CircuitBreaker:
    """Watches the share of dead records among the last `records`."""

    def __init__(self, share: float, records: int) -> None:
        self._share = share
        self._last: deque[bool] = deque(maxlen=records)
        self._dead = 0

    def count(self, dead: bool) -> None:
        """Take one record into account.

        Raises:
            CircuitBreakerError: the window is full and its share of dead records too large.
        """
        if len(self._last) == self._last.maxlen:
            self._dead -= self._last[0]
        self._last.append(dead)
        self._dead += dead
        if len(self._last) == self._last.maxlen and self._dead > self._share * len(self._last):
            raise CircuitBreakerError(
                f"dead letters: {self._dead} of the last {len(self._last)} records, expected at most "
                f"{self._share:.0%}; see `mekiki dlq list`, mend the producer, then start again"
            )
