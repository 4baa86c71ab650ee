"""P1: small pictures a second from a folder into the log, by `mekiki post`, beside a plain producer in the same run.

Comes in: how many pictures. Out: pictures a second into the embedded broker alone, by the importer and by a producer
of kafka-python that sends the same bytes from memory; and by the importer while a whole service ingests them on the
same cores. The importer reads each file, looks what it is, hashes it, makes its event and waits for the broker.
"""

import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
from kafka import KafkaProducer

from admin.operators.embedded import EmbeddedService
from admin.people.importing.plan import Wanted
from admin.people.importing.report import Report
from admin.people.importing.run import Manner
from admin.people.importing.run import run as post
from benchmarks.drawings import drawing
from stream.environment import load_settings
from stream.events.codec import encode
from stream.events.schema import ImagePosted
from stream.log.embedded_broker import EmbeddedBroker
from stream.log.topics import create_topics, full_name
from stream.process import configure_process
from stream.settings import Settings

SIDE_PX = 64


def run(pictures: int) -> dict[str, Any]:
    """Post a folder of as many pictures."""
    with tempfile.TemporaryDirectory(prefix="mekiki-bench-") as folder:
        mine = Path(folder) / "pictures"
        _write(mine, pictures)
        with EmbeddedBroker() as broker:
            alone = load_settings(
                data_dir=Path(folder) / "alone", kafka={"bootstrap_servers": broker.bootstrap_servers}
            )
            create_topics(alone)
            ours, peer = _post(alone, mine), _plain(alone, mine)
        settings = load_settings(data_dir=Path(folder) / "up", serve={"port": 0})
        configure_process(settings)
        with EmbeddedService(settings) as service:
            beside = _post(service.settings, mine)
    return {
        "id": "P1",
        "pictures": pictures,
        "posted_per_second": round(ours),
        "plain_producer_per_second": round(peer),
        "posted_over_plain": round(ours / peer, 3),
        "posted_per_second_while_ingesting": round(beside),
    }


def _write(folder: Path, pictures: int) -> None:
    """Different ones, PNG and JPEG by turns."""
    folder.mkdir()
    for number in range(pictures):
        small = cv2.resize(drawing(number), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{number}{('.png', '.jpg')[number % 2]}"), small)


def _post(settings: Settings, folder: Path) -> float:
    with Report(None) as report:
        rate = post(settings, Wanted([str(folder)]), Manner(again=True), report)
        if report.counts != {"posted": sum(1 for _ in folder.iterdir())}:
            raise RuntimeError(f"bench: {dict(report.counts)}, expected all posted")
    return rate


def _plain(settings: Settings, folder: Path) -> float:
    """What a producer does that has everything in memory; sent under other ids."""
    records = [
        encode(ImagePosted(image_id=path.name, content=path.read_bytes()), source="/bench", event_id=path.name)
        for path in folder.iterdir()
    ]
    servers = settings.kafka.bootstrap_servers
    with closing(KafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=5)) as producer:
        producer.partitions_for(full_name(settings, "images"))
        started_s = time.perf_counter()
        for key, value, headers in records:
            producer.send(full_name(settings, "images"), key=key, value=value, headers=headers)
        producer.flush()
        return len(records) / (time.perf_counter() - started_s)
