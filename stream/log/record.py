"""One record of the log, as every step sees it."""

import base64
import json
from dataclasses import dataclass

LAST_MS = 253_402_300_800_000  # the year 10,000


@dataclass(frozen=True)
class Record:
    """One record of the log. `topic` is our short name; `position` grows along a partition, over all epochs.

    `part` tells apart the dead letters of one record: 0 for the whole of it. One that is `lost` stands for a batch
    that cannot be read, up to its offset, and that an operator let pass: it moves the offset and nothing else.
    """

    topic: str
    partition: int
    offset: int
    position: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    part: int = 0
    lost: bool = False

    @property
    def size_bytes(self) -> int:
        """What the record weighs in a queue."""
        return len(self.value or b"") + 200

    @property
    def time_ms(self) -> int | None:
        """Its time in ms since 1970; None where the log has none that a calendar could show."""
        return self.timestamp_ms if 0 <= self.timestamp_ms < LAST_MS else None

    def to_text(self) -> str:
        """The record as one line of JSON, bytes in base64: it can wait in the state of its image."""
        headers = [[name, _text(raw)] for name, raw in self.headers]
        place = [self.topic, self.partition, self.offset, self.position, self.timestamp_ms]
        return json.dumps([*place, _text(self.key), _text(self.value), headers], separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> "Record":
        """The record that `to_text` wrote."""
        topic, partition, offset, position, timestamp_ms, key, value, headers = json.loads(text)
        named = tuple((name, _bytes(raw) or b"") for name, raw in headers)
        return cls(topic, partition, offset, position, timestamp_ms, _bytes(key), _bytes(value), named)


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
