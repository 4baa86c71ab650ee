"""Two ingest workers share the partitions, one comes late, one is killed: the outcome is that of one worker."""

import pytest

from tests.cluster import Cluster, embedded_kafka, wait_for
from tests.faults.events import calmly, count, run

IMAGES = 120
pytestmark = pytest.mark.timeout(300)


def change_hands(cluster, index, post):
    """A second worker joins, the first is killed while both are at it and comes back, and the second leaves."""
    wait_for(lambda: count(index) >= 10, "the first images")
    cluster.start("ingest-2")
    wait_for(lambda: shares(cluster, "ingest-2"), "partitions for the second worker")
    written = count(index)
    post()
    wait_for(lambda: count(index) > written and " records, " in cluster.log("ingest-2"), "work by both")
    cluster.kill("ingest")
    before = shares(cluster, "ingest")
    cluster.start("ingest")
    wait_for(lambda: shares(cluster, "ingest") > before, "partitions for the first worker")
    cluster.stop("ingest-2")


def shares(cluster, name):
    """How often a worker got partitions."""
    return (cluster.logs / f"{name}.log").read_text().count("ours from now on: images/")


def test_partitions_that_change_hands_lose_nothing_and_repeat_nothing(tmp_path):
    results = []
    with embedded_kafka(tmp_path) as bootstrap:
        for disturb in (calmly, change_hands):
            group, small = {"session_timeout_ms": 2_000}, {"batch_size": 4}
            cluster = Cluster(bootstrap, tmp_path / disturb.__name__, embedded=False, kafka=group, encoder=small)
            results.append(run(cluster, disturb, IMAGES))
    (calm_index, calm_sums, alive), (index, sums, _) = results
    assert sorted(index) == sorted(alive)
    assert index == calm_index
    assert sums == calm_sums
