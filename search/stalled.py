"""Partitions that nobody reads on: they hold unread records, and the committed offset does not move.

In: what is unread, looked at every ten seconds on a thread of its own. Out: the stalls of the last look, for `/readyz`
and `/v1/status`. A look that fails is no stall and ends nothing; what was seen before it counts no more.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stream import metrics
from stream.log.unreadable.unread import READERS, Unread

log = logging.getLogger(__name__)

EVERY_S = 10.0  # between two looks
STALLED_AFTER_S = 60.0  # the slowest batch is done in a few seconds, and its offset committed a second later
LOOKED_AT = 16  # partitions whose first record is looked at in one turn


@dataclass(frozen=True)
class Stall:
    """One partition without progress; `readable` is false where the batch at `offset` cannot be read."""

    topic: str
    partition: int
    offset: int
    records: int
    seconds: float
    readable: bool

    def __str__(self) -> str:
        place = f"{self.topic} {self.partition}"
        said = f"{place}: nothing read for {self.seconds:.0f} s, {self.records} or more records wait"
        if self.readable:
            return f"{said} at offset {self.offset}; see the log of {READERS[self.topic]}"
        if self.topic == "examples":
            return f"{said}; the batch at offset {self.offset} cannot be read, see the log of {READERS[self.topic]}"
        return (
            f"{said}; the batch at offset {self.offset} cannot be read, "
            f"`mekiki dlq skip {self.topic} {self.partition} {self.offset}` goes past it"
        )


class StallWatch(threading.Thread):
    """A daemon thread. `stalls` may be read by any thread; it is replaced whole."""

    def __init__(
        self,
        find_unread: Callable[[], list[Unread]],
        look_at: Callable[[Sequence[Unread]], Mapping[tuple[str, int], bool]],
        *,
        every_s: float = EVERY_S,
        stalled_after_s: float = STALLED_AFTER_S,
    ) -> None:
        """See stream.log.unreadable.unread for `find_unread` and `look_at`; both may raise."""
        super().__init__(name="stalls", daemon=True)
        self._find_unread, self._look_at = find_unread, look_at
        self._every_s, self._stalled_after_s = every_s, stalled_after_s
        self._since: dict[tuple[str, int], tuple[int, float]] = {}  # committed offset, and when it was first seen
        self._stopping = threading.Event()
        self._failing = False
        self.stalls: tuple[Stall, ...] = ()

    def run(self) -> None:
        """Look until `stop`."""
        while not self._stopping.wait(self._every_s):
            self.turn()

    def turn(self) -> None:
        """One look; raises nothing."""
        try:
            self.stalls = self._look()
            self._failing = False
        except Exception as error:  # noqa: BLE001 - a thread that ended here would say for ever that nothing stalls
            if not self._failing:
                log.warning("what is unread is not known: %s: %s", type(error).__name__, error)
            self._failing, self._since, self.stalls = True, {}, ()
        counts = dict.fromkeys(READERS, 0)
        for stall in self.stalls:
            counts[stall.topic] += 1
        for topic, count in counts.items():
            metrics.STALLED.labels(topic).set(count)

    def _look(self) -> tuple[Stall, ...]:
        unread, now_s = self._find_unread(), time.monotonic()
        before, self._since = self._since, {}
        for one in unread:
            offset, since_s = before.get(one.place, (one.offset, now_s))
            self._since[one.place] = (one.offset, since_s if offset == one.offset else now_s)
        age_s = {at: now_s - since_s for at, (_, since_s) in self._since.items()}
        due = [one for one in unread if age_s[one.place] >= self._stalled_after_s]
        due = sorted(due, key=lambda one: -age_s[one.place])[:LOOKED_AT]
        readable = self._look_at(due) if due else {}
        for one in due:
            if one.place not in readable:  # no record at all
                del self._since[one.place]
        return tuple(
            Stall(one.topic, one.partition, one.offset, one.records, age_s[one.place], readable[one.place])
            for one in due if one.place in readable
        )  # fmt: skip

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
