"""A damaged batch in the log of a running service: the rest goes on, and an operator lets it go past."""

import shutil

import pytest

from stream.environment import load_settings
from stream.events.codec import encode
from stream.events.schema import ImagePosted
from stream.log.produce import LogWriter
from stream.log.reading.consume import LogReader
from stream.log.topics import create_topics, describe_topics, full_name
from stream.log.unreadable.skips import Skip, skip_headers
from tests.cluster import KAFKA_SCRIPT, started_kafka, wait_for
from tests.damaged_log import post_batch, wrong_checksum
from tests.e2e.conftest import Service, drawing


@pytest.fixture
def service(tmp_path):
    running = Service(tmp_path / "data").start()
    yield running
    assert running.stop() == 0, running.output.read_text()


def post(service, image_ids, damage=None, partition=0):
    settings = load_settings({}, kafka={"bootstrap_servers": service.bootstrap})
    events = [encode(ImagePosted(image_id=i, content=drawing(len(i))), source="test") for i in image_ids]
    return post_batch(
        settings, "images", [value for _, value, _ in events], damage, partition=partition,
        keys=[key for key, _, _ in events], headers=[headers for _, _, headers in events],
    )  # fmt: skip


def log_of(service, name):
    return (service.data_dir / "logs" / f"{name}.log").read_text()


def test_the_rest_goes_on_and_an_operator_lets_ingest_go_past_it(service):
    post(service, ["before"])
    bad = post(service, ["lost", "lost too"], wrong_checksum)
    post(service, ["behind"])
    post(service, ["beside"], partition=1)
    wait_for(lambda: service.has("before") and service.has("beside"), "the pictures that can be read")
    wait_for(lambda: "cannot be read" in log_of(service, "ingest"), "the worker to say it")
    assert not service.has("behind")
    assert f"`mekiki dlq skip images 0 {bad}` goes past the batch" in log_of(service, "ingest")
    assert service.cli("dlq", "skip", "images", "0", str(bad)).strip() == f"images 0: goes on at offset {bad + 2}"
    wait_for(lambda: service.has("behind"), "the picture behind it", 20)
    (letter,) = service.letters()
    assert letter["reason"] == "unreadable"
    assert not service.has("lost")
    assert log_of(service, "ingest").count("cannot be read") == 1
    refused = service.cli("dlq", "skip", "images", "0", str(bad + 2), code=2)
    assert refused.strip() == (
        f"mekiki: offset {bad + 2} of images 0: expected a batch that cannot be read, it can be read; "
        "the log of the worker names it"
    )


def test_a_service_ends_in_time_while_a_batch_cannot_be_read(service):
    post(service, ["lost"], wrong_checksum)
    post(service, ["beside"], partition=1)
    wait_for(lambda: service.has("beside"), "the picture that can be read")
    wait_for(lambda: "cannot be read" in log_of(service, "ingest"), "the worker to say it")


@pytest.mark.skipif(
    not (KAFKA_SCRIPT.exists() and shutil.which("java")), reason="needs the disk of a Kafka of its own, to damage it"
)
def test_bytes_that_rot_on_the_disk_of_a_kafka_stop_their_partition_alone(tmp_path):
    """Kafka checks what it is sent and not what it reads: its consumers meet the damage."""
    with started_kafka(tmp_path) as kafka:
        settings = load_settings(
            {}, data_dir=tmp_path / "data",
            kafka={"bootstrap_servers": kafka["bootstrap"], "partitions": 2, "session_timeout_ms": 6_000},
        )  # fmt: skip
        create_topics(settings)
        post_batch(settings, "images", [b"before"])
        bad = post_batch(settings, "images", [b"the one that rots", b"beside it"])
        post_batch(settings, "images", [b"behind"])
        post_batch(settings, "images", [b"other"], partition=1)
        (segment,) = tmp_path.glob(f"kafka*/**/{full_name(settings, 'images')}-0/*.log")
        with segment.open("r+b") as file:
            file.seek(segment.read_bytes().index(b"the one that rots"))
            file.write(b"T")
        places = set()

        def poll():
            places.update((record.partition, record.offset, record.lost) for record in reader.poll(0.05))
            return places

        reader = LogReader(settings, ("images",), "test", tuple, group_wide=True)
        try:
            wait_for(lambda: poll() >= {(0, 0, False), (1, 0, False)}, "what can be read", 30)
            post_batch(settings, "images", [b"late"], partition=1)
            wait_for(lambda: (1, 1, False) in poll(), "the other partition to go on", 30)
        finally:
            reader.close()
        assert places == {(0, 0, False), (1, 0, False), (1, 1, False)}
        writer = LogWriter(settings, "test")
        topic_id = describe_topics(settings, ("images",))["images"].topic_id
        writer.send("images.dlq", None, None, skip_headers(Skip(topic_id, 0, bad), 1, "let it pass"))
        writer.flush()
        writer.close()
        reader = LogReader(settings, ("images",), "test", tuple, group_wide=True)
        try:
            wait_for(lambda: (0, bad + 2, False) in poll(), "what is behind it", 30)
        finally:
            reader.close()
        assert (0, bad + 1, True) in places
