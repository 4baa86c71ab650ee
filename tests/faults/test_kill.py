"""Workers killed with SIGKILL in mid-stream, more than once: every image once, the sums as if nothing had happened.

And a tag learner whose disk fails under it.
"""

import resource

import pytest

from models.errors import EXIT_TEMPORARY
from tests.cluster import Cluster, embedded_kafka, kafka_skip_reason, real_kafka, wait_for
from tests.faults.events import IMAGES, calmly, count, run

QUICK, LONG = (100, 1), (IMAGES, 3)  # images, kills
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(params=["embedded", "kafka"])
def broker(request, tmp_path):
    if request.param == "kafka":
        reason = kafka_skip_reason()
        if reason:
            pytest.skip(reason)
    start = embedded_kafka if request.param == "embedded" else real_kafka
    with start(tmp_path) as bootstrap:
        yield bootstrap, request.param == "embedded"


@pytest.mark.parametrize(("images", "kills"), [QUICK, pytest.param(*LONG, marks=pytest.mark.long)])
def test_sigkill_loses_nothing_and_learns_nothing_twice(broker, tmp_path, images, kills):
    """Both workers, while they are at it."""
    bootstrap, embedded = broker

    def kill(cluster, index, post):
        post()
        for number in range(kills):
            wait_for(lambda at=(number + 1) * images // (kills + 2): count(index) >= at, f"kill {number}")
            for name in ("ingest", "tags"):
                cluster.kill(name)
                cluster.start(name)

    results = []
    for disturb in (calmly, kill):
        small = {"batch_size": 8}  # more batches, so that a kill meets one in flight
        cluster = Cluster(bootstrap, tmp_path / disturb.__name__, embedded=embedded, encoder=small)
        results.append(run(cluster, disturb, images))
    (calm_index, calm_sums, alive), (killed_index, killed_sums, _) = results
    assert sorted(killed_index) == sorted(alive)
    assert killed_index == calm_index
    assert killed_sums == calm_sums
    assert len(calm_sums[1]) > 20


def fail_disk(cluster, index, post):
    """No file of the tag learner may grow any more; it ends with a sentence, and is started again with room."""
    log = cluster.settings.data_path / "tagger.sqlite-wal"
    wait_for(lambda: log.exists() and log.stat().st_size > 1_000_000, "a checkpoint")
    tags, size = cluster.processes.pop("tags"), log.stat().st_size
    resource.prlimit(tags.pid, resource.RLIMIT_FSIZE, (size, size))
    post()
    assert tags.wait(60) == EXIT_TEMPORARY, cluster.log("tags")
    last = cluster.log("tags").splitlines()[-1]
    assert "free some space" in last and "start again" in last
    cluster.start("tags")


def test_a_disk_that_fails_under_the_tag_learner_loses_nothing(tmp_path):
    results = []
    with embedded_kafka(tmp_path) as bootstrap:
        for disturb in (calmly, fail_disk):
            often, small = {"checkpoint_interval_s": 0.2}, {"batch_size": 8}
            folder = tmp_path / disturb.__name__
            results.append(run(Cluster(bootstrap, folder, embedded=True, tagging=often, encoder=small), disturb))
    (_, calm, _), (_, full, _) = results
    assert full == calm
