"""`mekiki status`: how far everything is, in records and seconds, and which versions serve."""

import time
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from admin.connect import Api, client_settings
from admin.console import out, print_json, print_table
from admin.operators.dlq import read_all
from admin.options import AsJson, DataDir
from stream.log.client import broker_errors, client_options
from stream.log.topics import describe_topics
from stream.log.unreadable.unread import READERS
from stream.settings import Settings

SHOWN = (
    "images", "images_with_objects", "images_waited_for", "tags", "pairs_seen", "dead_letters", "encoder_version",
    "tagger_version", "ranker_version",
)  # fmt: skip
POLL_MS = 1_000  # to see how old the first unread record is


def status(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Lag in records and seconds, counts, versions."""
    settings = client_settings(data_dir)
    found_status = Api(settings).status().model_dump(mode="json")
    document: dict[str, Any] = found_status | {"lag": lags(settings), "dead_letters": len(read_all(settings))}
    if as_json:
        print_json(document)
        return
    found = document["lag"]
    rows = ((topic, READERS[topic], str(lag["records"]), f"{lag['seconds']:.1f}") for topic, lag in found.items())
    print_table(rows, "topic", "read by", "lag (records)", "lag (s)")
    for worker, said in document["stopped"].items():
        out.print(f"{worker} stopped: {said}, then `mekiki dlq resume`", markup=False, soft_wrap=True)
    for stall in document["stalled"]:
        out.print(stall["said"], markup=False, soft_wrap=True)
    for name in SHOWN:
        estimate = about(document["estimated"]) if name.startswith("images") else ""
        out.print(f"{name.replace('_', ' ')}: {estimate}{document[name]}")


def about(estimated: bool) -> str:
    """What to say before the numbers of images."""
    return "about " if estimated else ""


def lags(settings: Settings) -> dict[str, dict[str, float]]:
    """Per topic: unread records, and the age of the oldest of them in seconds."""
    described = describe_topics(settings, tuple(READERS))
    return {short: _lag(settings, topic.name, topic.partitions, READERS[short]) for short, topic in described.items()}


def _lag(settings: Settings, name: str, partitions: int, reader: str) -> dict[str, float]:
    group = f"{settings.kafka.topic_prefix}.{reader}"
    options = client_options(settings) | {"group_id": group, "enable_auto_commit": False}
    with broker_errors(settings), closing(KafkaConsumer(**options)) as consumer:
        every = [TopicPartition(name, p) for p in range(partitions)]
        consumer.assign(every)
        first, end = consumer.beginning_offsets(every), consumer.end_offsets(every)
        starts = {at: first[at] if (done := consumer.committed(at)) is None else done for at in every}
        behind = {at: max(0, end[at] - starts[at]) for at in every}
        waiting = {at: starts[at] for at in every if behind[at]}
        age_s = _oldest_age_s(consumer, waiting) if waiting else 0.0
        return {"records": sum(behind.values()), "seconds": round(age_s, 3)}


def _oldest_age_s(consumer: Any, starts: dict[TopicPartition, int]) -> float:
    consumer.assign(list(starts))
    for at, offset in starts.items():
        consumer.seek(at, offset)
    polled = consumer.poll(timeout_ms=POLL_MS, max_records=len(starts))
    stamps = [records[0].timestamp for records in polled.values() if records]
    return max(0.0, time.time() - min(stamps) / 1000) if stamps else 0.0
