"""Stops a worker when too large a share of the last records is dead: then the producer or we are broken.

In: one mark a record. Raises CircuitBreakerError.
"""

from __future__ import annotations

from collections import deque

from models.errors import CircuitBreakerError


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
