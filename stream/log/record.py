"""One record of the log, as every step sees it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """One record of the log. `topic` is our short name; `position` grows along a partition, over all epochs."""

    topic: str
    partition: int
    offset: int
    position: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def size_bytes(self) -> int:
        """What the record weighs in a queue."""
        return len(self.value or b"") + 200
