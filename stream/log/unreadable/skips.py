"""What an operator says of a batch that cannot be read: go past it. A dead letter without bytes, on `<topic>.dlq`.

In: a place in the log. Out: the letter's headers, and back. It names the topic by its id: an offset means nothing in a
topic that was made again.
"""

from dataclasses import dataclass

from stream.events.codec import Headers
from stream.log.dead_letter import ORIGIN, PREFIX, REASON, TEXT
from stream.log.record import Record

UNREADABLE = "unreadable"  # the reason of such a letter
TOPIC_ID = PREFIX + "topic_id"


@dataclass(frozen=True)
class Skip:
    """The batch that this offset is in is left out."""

    topic_id: str
    partition: int
    offset: int


def skip_headers(skip: Skip, position: int, text: str) -> Headers:
    """The headers of its dead letter."""
    return [
        (REASON, UNREADABLE.encode()),
        (TEXT, text.encode(errors="replace")),
        (ORIGIN, f"{skip.partition}/{position}/{skip.offset}".encode()),
        (TOPIC_ID, skip.topic_id.encode()),
    ]


def read_skip(record: Record) -> Skip | None:
    """What a `<topic>.dlq` record says; None for other dead letters."""
    named = dict(record.headers)
    if named.get(REASON) != UNREADABLE.encode() or TOPIC_ID not in named:
        return None
    partition, _, offset = named[ORIGIN].decode().split("/")
    return Skip(named[TOPIC_ID].decode(), int(partition), int(offset))
