"""What kafka-python's consumer needs of us beyond its own calls.

In: a consumer. Fails with nothing: a commit that fails is only logged.
"""

import logging
from collections.abc import Mapping
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

log = logging.getLogger(__name__)

COMMIT_TIMEOUT_MS = 2_000  # of the last commit before a worker ends


def unpark(consumer: Any) -> None:
    """Let it take up again what it set aside while a partition was paused; before each poll.

    3.0.12 does so only when no batch is in line, and takes one that is used up for one in line: a partition that
    was resumed while others went on would never be fetched again.
    """
    fetcher: Any = getattr(consumer, "_fetcher", None)
    if getattr(fetcher, "_paused_partition_records", None) and not fetcher._next_partition_records:
        fetcher._next_partition_records = None


def finish_rejoining(consumer: Any) -> None:
    """Call it before each poll of a member of a group, or it may be one that gets no partitions and does not know.

    kafka-python 3.0.12: a leader that joins again because it learned of partitions takes that for done once it has
    shared them out. Where the poll ends just then, nobody waits for the broker's answer any more, heartbeats stay off,
    and the member is expelled.
    """
    coordinator = getattr(consumer, "_coordinator", None)
    if coordinator is not None and coordinator.rejoining and not coordinator.need_rejoin():
        coordinator.request_rejoin()


def commit(consumer: Any, offsets: Mapping[TopicPartition, OffsetAndMetadata], *, wait: bool) -> None:
    """Commit offsets for lag tools."""
    try:
        if wait:
            consumer.commit(offsets, timeout_ms=COMMIT_TIMEOUT_MS)
        else:
            consumer.commit_async(offsets, callback=_log_failure)
    except (KafkaError, AssertionError) as error:
        log.debug("offsets not committed: %s", error)


def _log_failure(offsets: object, error: object) -> None:
    if isinstance(error, Exception):
        log.debug("offsets not committed: %s", error)
