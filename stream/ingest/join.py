"""Images and tags of one partition, merged by timestamp, as Kafka Streams merges co-partitioned topics.

In: records as they arrive. Out: records in the order they are to be applied. Pure: the clock comes with the call.
A tag is held until its image partition has passed the tag's timestamp, so that it never overtakes the image it names.
Where no image is left to read, a tag for an image that is known goes on at once; one for an unknown image waits a grace
for it, since a producer may hand over a small tag before the large picture it posted earlier.
Source: https://cwiki.apache.org/confluence/display/KAFKA/KIP-353 (improved timestamp synchronisation)
"""

import functools
from collections import deque
from collections.abc import Callable

from stream.log.record import Record


class PartitionJoin:
    """The two queues of one partition."""

    def __init__(self, grace_ms: int) -> None:
        self._grace_ms = grace_ms
        self._images: deque[Record] = deque()
        self._earliest: deque[int] = deque()  # ascending: the smallest timestamp of what is queued stands first
        self._tags: deque[tuple[Record, float]] = deque()  # with the local time of arrival, ms

    def add(self, record: Record, now_ms: float) -> None:
        """Take one record in, in offset order within its topic."""
        if record.topic == "images":
            self._images.append(record)
            while self._earliest and self._earliest[-1] > record.timestamp_ms:
                self._earliest.pop()
            self._earliest.append(record.timestamp_ms)
        else:
            self._tags.append((record, now_ms))

    def __len__(self) -> int:
        return len(self._images) + len(self._tags)

    def release(
        self, now_ms: float, images_caught_up: Callable[[], bool], is_known: Callable[[Record], bool]
    ) -> list[Record]:
        """Everything whose turn has come.

        Args:
            now_ms: wall clock, as `add` was given.
            images_caught_up: says whether the broker holds no image of this partition that was not added; asked only
                where it matters, for it may cost a round trip.
            is_known: says whether the image a tag names was released or indexed before.
        """
        ready: list[Record] = []
        fresh: set[bytes | None] = set()  # keys of images released in this very call
        while self._images or self._tags:
            if self._tags and self._tag_is_next(now_ms, images_caught_up, lambda t: t.key in fresh or is_known(t)):
                ready.append(self._tags.popleft()[0])
            elif self._images:
                ready.append(self._next_image())
                fresh.add(ready[-1].key)
            else:
                break
        return ready

    def _next_image(self) -> Record:
        image = self._images.popleft()
        if self._earliest[0] == image.timestamp_ms:
            self._earliest.popleft()
        return image

    def _tag_is_next(
        self, now_ms: float, images_caught_up: Callable[[], bool], is_known: Callable[[Record], bool]
    ) -> bool:
        tag, arrived_ms = self._tags[0]
        if self._images:  # producers' clocks differ: an earlier image may stand behind a later one
            return tag.timestamp_ms < self._earliest[0]
        if is_known(tag):
            return True
        posted_ms = min(tag.timestamp_ms, arrived_ms)  # a producer's clock may be ahead of ours
        return now_ms - posted_ms >= self._grace_ms and images_caught_up()

    def waiting(self) -> list[Record]:
        """Tags that nothing but the question whether their image is known holds back."""
        return [] if self._images else [tag for tag, _ in self._tags]


class Join:
    """All partitions of one worker."""

    def __init__(self, grace_ms: int) -> None:
        self._grace_ms = grace_ms
        self._partitions: dict[int, PartitionJoin] = {}

    def add(self, records: list[Record], now_ms: float) -> None:
        """Take records in, in offset order within each topic and partition."""
        for record in records:
            part = self._partitions.setdefault(record.partition, PartitionJoin(self._grace_ms))
            part.add(record, now_ms)

    def release(
        self, now_ms: float, images_caught_up: Callable[[int], bool], is_known: Callable[[Record], bool]
    ) -> list[Record]:
        """Everything whose turn has come, partition by partition."""
        ready: list[Record] = []
        for partition, part in self._partitions.items():
            if len(part):
                caught_up = functools.cache(functools.partial(images_caught_up, partition))
                ready.extend(part.release(now_ms, caught_up, is_known))
        return ready

    def waiting(self) -> list[Record]:
        """Tags that nothing but the question whether their image is known holds back."""
        return [tag for part in self._partitions.values() for tag in part.waiting()]

    def drop(self, partitions: set[int]) -> None:
        """Forget what another worker reads from now on."""
        for partition in partitions:
            self._partitions.pop(partition, None)

    def __len__(self) -> int:
        return sum(len(part) for part in self._partitions.values())
