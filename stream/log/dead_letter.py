"""What no step can take: original bytes and headers, with the reason, on `<topic>.dlq`.

In: the record and its PoisonError. Out: one record that can be listed, read and replayed. The circuit breaker stops a
worker (CircuitBreakerError) when too large a share of the last records is dead: then the producer or we are broken, and
filling a topic helps nobody.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from models.errors import CircuitBreakerError, PoisonError, PolicyError
from stream.events.codec import Headers
from stream.log.produce import LogWriter
from stream.log.record import Record

log = logging.getLogger(__name__)

PREFIX = "mekiki_dlq_"
REASON, TEXT, ORIGIN, REPLAYED, CUT = (PREFIX + name for name in ("reason", "text", "origin", "replayed", "cut"))
KEPT_VALUE_BYTES, KEPT_HEADER_BYTES = 100_000, 4_000  # in a letter that is cut
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
    cut_bytes: int = 0  # of a value that did not fit and was left out

    @property
    def id(self) -> str:
        """Short and stable: a hash of where the record came from."""
        return hashlib.sha256(f"{self.topic}/{self.origin}".encode()).hexdigest()[:12]


def send_dead_letters(writer: LogWriter, letters: Sequence[tuple[Record, PoisonError]]) -> None:
    """Send dead letters and whatever was sent before; acknowledged on return.

    Where the topic takes no letter that large, large ones go without their value, which then stands at their origin
    only: a letter that is cut is better than a worker that cannot go on.

    Raises:
        BrokerUnavailableError: send everything again.
    """
    for record, error in letters:
        log.warning("dead letter from %s %s/%s: %s", record.topic, record.partition, record.offset, error)
    try:
        for record, error in letters:
            writer.send(f"{record.topic}.dlq", record.key, record.value, dead_letter_headers(record, error))
        writer.flush()
    except PolicyError:
        for record, error in letters:
            headers = dead_letter_headers(record, error)
            small = [header for header in headers if len(header[1]) <= KEPT_HEADER_BYTES]
            large = len(record.value or b"") > KEPT_VALUE_BYTES
            cut: Headers = [(CUT, str(len(record.value or b"")).encode())] if large else []
            writer.send(f"{record.topic}.dlq", record.key, None if large else record.value, [*small, *cut])
        writer.flush()


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
        cut_bytes=int(named.get(CUT, b"0")),
        headers=[(name, value) for name, value in record.headers if not name.startswith(PREFIX)],
    )


class CircuitBreaker:
    """Watches the share of dead records among the last `records`; one that is not armed only from a small share on."""

    def __init__(self, share: float, records: int, *, armed: bool = True) -> None:
        self._share = share
        self._armed = armed
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
        if len(self._last) < (self._last.maxlen or 0):
            return
        too_many = self._dead > self._share * len(self._last)
        self._armed = self._armed or not too_many
        if self._armed and too_many:
            raise CircuitBreakerError(
                f"dead letters: {self._dead} of the last {len(self._last)} records, expected at most "
                f"{self._share:.0%}; see `mekiki dlq list`, mend the producer, then start again"
            )
