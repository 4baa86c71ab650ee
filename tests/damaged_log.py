"""Record batches with damaged bytes, as a broken disk leaves them; the embedded broker stores what it is sent."""

import struct
from collections.abc import Callable, Sequence
from contextlib import contextmanager

from kafka import KafkaProducer
from kafka.record.default_records import DefaultRecordBatch as Batch
from kafka.record.default_records import DefaultRecordBatchBuilder as Builder
from kafka.record.util import calc_crc32c

from stream.log.topics import full_name
from stream.settings import Settings

LINGER_MS = 2_000  # longer than a test takes to send: what is sent together is one batch

Damage = Callable[[bytearray], None]


def wrong_checksum(batch: bytearray) -> None:
    """One bit of the records is another than it was."""
    batch[-2] ^= 1


def not_compressed(batch: bytearray) -> None:
    """Its checksum is right, what it covers is nothing that a codec packed."""
    for place in range(Batch.HEADER_STRUCT.size, len(batch)):
        batch[place] = 0xEE
    _seal(batch)


def nonsense(batch: bytearray) -> None:
    """Its checksum is right, what it covers are no records."""
    not_compressed(batch)


def wrong_end(batch: bytearray) -> None:
    """The header names an end far behind the log's; its checksum is wrong too."""
    struct.pack_into(">i", batch, struct.calcsize(">qiibIh"), 2**30)
    struct.pack_into(">i", batch, Batch.HEADER_STRUCT.size - 4, 2**30 + 1)


def shorter_end(batch: bytearray) -> None:
    """The header names another end than its number of records; its checksum is wrong too."""
    struct.pack_into(">i", batch, struct.calcsize(">qiibIh"), 2)


def _seal(batch: bytearray) -> None:
    struct.pack_into(">I", batch, Batch.CRC_OFFSET, calc_crc32c(bytes(batch[Batch.ATTRIBUTES_OFFSET :])))


@contextmanager
def _damaging(damage: Damage | None):
    build = Builder.build

    def damaged(self):
        batch = bytearray(build(self))
        if damage is not None:
            damage(batch)
        return batch

    Builder.build = damaged
    try:
        yield
    finally:
        Builder.build = build


def post_batch(
    settings: Settings,
    topic: str,
    values: Sequence[bytes],
    damage: Damage | None = None,
    *,
    partition: int = 0,
    codec: str | None = None,
    headers: Sequence = ((),),
    keys: Sequence[bytes] = (b"k",),
) -> int:
    """Put values into one batch of a partition; the offset of its first record. Headers and keys go round."""
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, compression_type=codec, linger_ms=LINGER_MS,
        batch_size=2**20, acks="all",
    )  # fmt: skip
    with _damaging(damage):
        sent = [
            producer.send(
                full_name(settings, topic), value, partition=partition, key=keys[n % len(keys)],
                headers=list(headers[n % len(headers)]),
            )
            for n, value in enumerate(values)
        ]  # fmt: skip
        producer.flush(20)
    producer.close(timeout=5)
    offsets = [one.value.offset for one in sent]
    assert offsets == list(range(offsets[0], offsets[0] + len(values)))
    return offsets[0]
