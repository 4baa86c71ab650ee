"""Workers killed with SIGKILL in mid-stream, more than once: every image once, the sums as if nothing had happened.

And a tag learner whose disk fails under it.
"""

import random
import resource
import time

import cv2
import numpy as np
import pytest

from models.errors import EXIT_TEMPORARY
from models.tagging.store import TaggerStore
from stream.events.schema import ImageDeleted, ImagePosted, TagsApplied, TagsRemoved
from stream.index.remote import RemoteIndex
from stream.log.produce import LogWriter
from tests.cluster import Cluster, embedded_kafka, kafka_skip_reason, real_kafka, wait_for

IMAGES = 240
KILLS = 3
pytestmark = pytest.mark.timeout(400)


def picture(seed):
    """A drawing of a few shapes: real enough for an encoder to tell apart."""
    chance = np.random.default_rng(seed)
    canvas = np.full((96, 96, 3), 255, np.uint8)
    for _ in range(4):
        colour = tuple(int(c) for c in chance.integers(0, 255, 3))
        x, y, r = (int(v) for v in chance.integers(10, 80, 3))
        cv2.circle(canvas, (x, y), r // 3 + 3, colour, -1)
        cv2.rectangle(canvas, (y, r), (y + 20, r + 12), colour[::-1], -1)
    return cv2.imencode(".png", canvas)[1].tobytes()


def events():
    """Posts, tags, removals, deletions and two broken records, in one seeded order."""
    chance = random.Random(7)
    made, alive = [], []
    for n in range(IMAGES):
        made.append(ImagePosted(image_id=f"i{n}", content=picture(n), tags=("posted",) if n % 5 == 0 else ()))
        alive.append(n)
        for _ in range(chance.randint(0, 2)):
            target = chance.choice(alive[-30:])
            tags = tuple(f"tag {chance.randint(0, 25)}" for _ in range(chance.randint(1, 3)))
            made.append(TagsApplied(image_id=f"i{target}", tags=tags))
        if n % 17 == 16:
            made.append(TagsRemoved(image_id=f"i{chance.choice(alive[-30:])}", tags=("posted", "tag 3")))
        if n % 40 == 39:
            gone = alive.pop(chance.randrange(len(alive) - 30, len(alive)))
            made.append(ImageDeleted(image_id=f"i{gone}"))
        if n % 100 == 50:
            made.append(ImagePosted(image_id=f"broken{n}", content=b"no picture"))
    return made, alive


def run(cluster, kills, disturb=None):
    """Post everything, let workers work, kill `kills` times; what the index and the sums are in the end."""
    made, alive = events()
    first = len(made) if disturb is None else len(made) // 2
    first_ms = int(time.time() * 1000) - 60_000  # older ones would fall to the broker's retention
    post(cluster, made, 0, first, first_ms)
    cluster.start("index", "ingest", "tags")
    index = RemoteIndex(cluster.settings.index_socket)
    try:
        for kill in range(kills):
            wait_for(lambda at=(kill + 1) * IMAGES // (kills + 2): count(index) >= at, f"kill {kill}")
            for name in ("ingest", "tags"):
                cluster.kill(name)
                cluster.start(name)
        if disturb is not None:
            disturb(cluster, lambda: post(cluster, made, first, len(made), first_ms))
        wait_for(lambda: count(index) == len(alive) and offsets_done(cluster, index, made), "the end of the stream")
        wait_for(lambda: examples_done(cluster), "the end of the examples")
        cluster.stop("ingest", "tags")
        found = contents(index)
    finally:
        index.close()
    return found, sums(cluster.settings.data_path / "tagger.sqlite"), [f"i{n}" for n in alive]


def post(cluster, made, start, stop, first_ms):
    writer = LogWriter(cluster.settings, "test")
    for number, event in enumerate(made[start:stop], start):
        writer.send_event(event, event_id=f"e{number}", timestamp_ms=first_ms + number)
    writer.flush()
    writer.close()


def count(index):
    from models.errors import IndexUnavailableError

    try:
        return index.count()
    except IndexUnavailableError:
        return 0  # not up yet


def offsets_done(cluster, index, made):
    return sum(offset.offset for offset in index.offsets()) == len(made)


def examples_done(cluster):
    from admin.operators.status import lags

    return lags(cluster.settings)["examples"]["records"] == 0


def contents(index):
    found, cursor = {}, None
    while True:
        page, cursor = index.scroll(cursor, 100, with_vectors=True)
        records = index.fetch([hit.image_id for hit in page])
        for hit in page:
            assert hit.image_id not in found, f"{hit.image_id} is there twice"
            record = records[hit.image_id]
            kept = (hit.payload.tags, hit.payload.sha256, hit.payload.phash)
            found[hit.image_id] = (kept, record.image_position, record.tags_position, hit.vector.tobytes())
        if cursor is None:
            return found


def sums(path):
    """The exact state, by tag name: row numbers depend on the order in which partitions were read."""
    store = TaggerStore(path)
    tagger, _ = store.open()
    statistics = tagger.statistics
    by_name = {
        name: (int(statistics.sums.counts[row]), statistics.sums.tags[row].tobytes())
        for row, name in enumerate(statistics.vocabulary.names)
        if statistics.sums.counts[row]
    }
    whole = (statistics.sums.images, statistics.sums.total.tobytes(), statistics.sums.gram.tobytes())
    store.close()
    return whole, by_name


@pytest.fixture(params=["embedded", "kafka"])
def broker(request, tmp_path):
    if request.param == "kafka":
        reason = kafka_skip_reason()
        if reason:
            pytest.skip(reason)
    start = embedded_kafka if request.param == "embedded" else real_kafka
    with start(tmp_path) as bootstrap:
        yield bootstrap, request.param == "embedded"


def test_sigkill_loses_nothing_and_learns_nothing_twice(broker, tmp_path):
    bootstrap, embedded = broker
    results = []
    for name, kills in (("calm", 0), ("killed", KILLS)):
        small = {"batch_size": 8}  # more batches, so that a kill meets one in flight
        cluster = Cluster(bootstrap, tmp_path / name, embedded=embedded, encoder=small)
        try:
            results.append(run(cluster, kills))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{cluster.log('ingest')}\n{cluster.log('tags')}") from error
        finally:
            cluster.close()
    (calm_index, calm_sums, alive), (killed_index, killed_sums, _) = results
    assert sorted(killed_index) == sorted(alive)
    assert killed_index == calm_index
    assert killed_sums[0] == calm_sums[0]
    assert killed_sums[1] == calm_sums[1]
    assert len(calm_sums[1]) > 20


def fail_disk(cluster, post_more):
    """No file of the tag learner may grow any more; it ends with a sentence, and is started again with room."""
    log = cluster.settings.data_path / "tagger.sqlite-wal"
    wait_for(lambda: log.exists() and log.stat().st_size > 1_000_000, "a checkpoint")
    tags, size = cluster.processes.pop("tags"), log.stat().st_size
    resource.prlimit(tags.pid, resource.RLIMIT_FSIZE, (size, size))
    post_more()
    assert tags.wait(60) == EXIT_TEMPORARY, cluster.log("tags")
    assert "free some space and start again" in cluster.log("tags").splitlines()[-1]
    cluster.start("tags")


def test_a_disk_that_fails_under_the_tag_learner_loses_nothing(tmp_path):
    results = []
    with embedded_kafka(tmp_path) as bootstrap:
        for name, disturb in (("calm", None), ("full", fail_disk)):
            often = {"checkpoint_interval_s": 0.2}
            cluster = Cluster(bootstrap, tmp_path / name, embedded=True, tagging=often, encoder={"batch_size": 8})
            try:
                results.append(run(cluster, 0, disturb))
            except AssertionError as error:
                raise AssertionError(f"{error}\n{cluster.log('tags')}") from error
            finally:
                cluster.close()
    (_, calm, _), (_, full, _) = results
    assert full == calm
