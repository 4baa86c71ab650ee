"""Partitions are added to images.v1: with `mekiki topics grow` nothing is lost or mixed up, behind our back nothing is
written.
"""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from admin.operators.status import lags
from stream.environment import as_environment
from stream.index.process.remote import RemoteIndex
from stream.log.client import admin_client
from stream.log.topics import full_name
from tests.cluster import ROOT, Cluster, kafka_skip_reason, real_kafka, wait_for
from tests.faults.events import calmly, contents, count, events, run

IMAGES = 160
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(400),
    pytest.mark.skipif(kafka_skip_reason() is not None, reason=kafka_skip_reason() or ""),
]


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory):
    with real_kafka(tmp_path_factory.mktemp("kafka")) as servers:
        yield servers


@pytest.fixture(scope="module")
def calm(bootstrap, tmp_path_factory):
    """What a run without growth ends in."""
    cluster = Cluster(bootstrap, tmp_path_factory.mktemp("calm"), embedded=False)
    return outcome(run(cluster, calmly, IMAGES))


def outcome(result):
    """Pictures, tags, vectors and sums; positions depend on the partitions."""
    index, sums, alive = result
    assert sorted(index) == sorted(alive)
    return wherever(index), sums


def wherever(index):
    """What is kept of each picture but its place in the log, of which its bytes have their name."""
    return {image_id: (replace(kept, stored=""), vector) for image_id, (kept, _, vector) in index.items()}


def images_done(cluster):
    """Marks and records that came to another partition than their home count too, so offsets do not tell."""
    return lags(cluster.settings)["images"]["records"] == 0


def grow(cluster, *arguments):
    """The command as an operator runs it; its process."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MEKIKI_")}
    return subprocess.run(
        [sys.executable, "-m", "admin.cli", "topics", "grow", *arguments], cwd=ROOT, capture_output=True, text=True,
        env=environment | as_environment(cluster.settings), timeout=120,
    )  # fmt: skip


def test_a_topic_grows_while_producers_and_two_workers_run(bootstrap, calm, tmp_path):
    """Twice, from 2 to 5 to 6 partitions; the producer learns of it in the middle of its stream."""

    def disturb(cluster, index, post_rest):
        wait_for(lambda: count(index) >= 10, "the first images")
        cluster.start("ingest-2")
        for partitions in ("5", "6"):
            grown = grow(cluster, partitions, "--notice-s", "1")
            assert grown.returncode == 0, grown.stderr
            assert f"images.v1 has {partitions} partitions" in grown.stdout
        post_rest()
        wait_for(lambda: all_of_them_used(cluster, index), "work on new partitions")

    small, group = {"batch_size": 4}, {"session_timeout_ms": 6_000}
    cluster = Cluster(bootstrap, tmp_path / "grown", embedded=False, kafka=group, encoder=small)
    assert outcome(run(cluster, disturb, IMAGES, done=images_done)) == calm


def all_of_them_used(cluster, index):
    stored = {at.partition: at for at in index.offsets() if at.topic == "images"}
    return len(stored) == 6 and all(at.epoch == 2 for at in stored.values())


def test_an_index_made_anew_from_a_log_that_grew_is_the_same(bootstrap, calm, tmp_path):
    """Nothing is known but the log: its marks and what topics.v1 says."""

    def disturb(cluster, index, post_rest):
        assert grow(cluster, "4", "--notice-s", "0").returncode == 0
        post_rest()

    first = Cluster(bootstrap, tmp_path / "first", embedded=False)
    assert outcome(run(first, disturb, IMAGES, done=images_done)) == calm
    second = Cluster(bootstrap, tmp_path / "second", embedded=False)
    kafka = second.settings.kafka.model_copy(update={"topic_prefix": first.settings.kafka.topic_prefix})
    second.settings = second.settings.model_copy(update={"kafka": kafka})
    _, alive = events(IMAGES)
    second.start("index", "ingest")
    index = RemoteIndex(second.settings.index_socket)
    try:
        wait_for(lambda: count(index) == len(alive) and images_done(second), "the end of the log")
        found = wherever(contents(index))
    finally:
        index.close()
        second.close()
    assert found == calm[0]


def test_partitions_added_behind_our_back_stop_the_worker_until_it_is_told(bootstrap, calm, tmp_path):
    """Nothing is written after; `topics grow` says how it was, and everything goes on."""
    cluster = Cluster(bootstrap, tmp_path / "behind", embedded=False)

    def disturb(cluster, index, post_rest):
        wait_for(lambda: count(index) >= 10, "the first images")
        with admin_client(cluster.settings) as client:
            client.create_partitions({full_name(cluster.settings, "images"): 8})
        assert cluster.processes["ingest"].wait(90) == 78
        written = count(index)
        post_rest()
        cluster.start("ingest")
        assert cluster.processes["ingest"].wait(60) == 78
        assert count(index) == written
        said = (cluster.logs / "ingest.log").read_text()
        assert said.count("has 8 partitions, the state knows 2; keys have moved") == 2
        assert "Run `mekiki topics grow 8 --from 2`" in said
        grown = grow(cluster, "8", "--from", "2", "--notice-s", "0")
        assert grown.returncode == 0, grown.stderr
        cluster.start("ingest")

    assert outcome(run(cluster, disturb, IMAGES, done=images_done)) == calm
