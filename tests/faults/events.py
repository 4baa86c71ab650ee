"""A seeded stream of events through real worker processes, and what is there in the end."""

import random
import time
from dataclasses import replace

import cv2
import numpy as np

from admin.operators.status import lags
from models.errors import IndexUnavailableError
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from stream.events.codec import encode
from stream.events.schema import ImageDeleted, ImagePosted, TagsApplied, TagsRemoved
from stream.index.process.remote import RemoteIndex
from stream.log.produce import LogWriter
from tests.cluster import wait_for

IMAGES = 240
FIRST_MS = int(time.time() * 1000) - 60_000  # of the first event, in every run: what is kept of it can be compared


def picture(seed):
    """A drawing of a few shapes: real enough for an encoder to tell apart."""
    rng = np.random.default_rng(seed)
    canvas = np.full((96, 96, 3), 255, np.uint8)
    for _ in range(4):
        colour = tuple(int(c) for c in rng.integers(0, 255, 3))
        x, y, r = (int(v) for v in rng.integers(10, 80, 3))
        cv2.circle(canvas, (x, y), r // 3 + 3, colour, -1)
        cv2.rectangle(canvas, (y, r), (y + 20, r + 12), colour[::-1], -1)
    return cv2.imencode(".png", canvas)[1].tobytes()


def events(images):
    """Posts, tags, removals, deletions and a few broken records, in one seeded order."""
    rng = random.Random(7)
    made, alive = [], []
    for n in range(images):
        made.append(ImagePosted(image_id=f"i{n}", content=picture(n), tags=("posted",) if n % 5 == 0 else ()))
        alive.append(n)
        for _ in range(rng.randint(0, 2)):
            target = rng.choice(alive[-30:])
            tags = tuple(f"tag {rng.randint(0, 25)}" for _ in range(rng.randint(1, 3)))
            made.append(TagsApplied(image_id=f"i{target}", tags=tags))
        if n % 17 == 16:
            made.append(TagsRemoved(image_id=f"i{rng.choice(alive[-30:])}", tags=("posted", "tag 3")))
        if n % 40 == 39:
            gone = alive.pop(rng.randrange(len(alive) - 30, len(alive)))
            made.append(ImageDeleted(image_id=f"i{gone}"))
        if n % 100 == 50:
            made.append(ImagePosted(image_id=f"broken{n}", content=b"no picture"))
    return made, alive


def run(cluster, disturb, images=IMAGES, *, done=None):
    """Let workers work on half of the events, then `disturb(cluster, index, post)`, which posts the others with `post`.

    The stream is read when the offsets say so, or `done(cluster)`.

    Returns what the index and the sums are in the end, and the ids of the images that are to be there.
    """
    made, alive = events(images)
    half = len(made) // 2
    post(cluster, made, 0, half)
    cluster.start("index", "ingest", "tags")
    index = RemoteIndex(cluster.settings.index_socket)
    try:
        disturb(cluster, index, lambda: post(cluster, made, half, len(made)))
        read = (lambda: done(cluster)) if done else (lambda: offsets_done(index, made))
        wait_for(lambda: count(index) == len(alive) and read(), "the end of the stream")
        wait_for(lambda: examples_done(cluster), "the end of the examples")
        cluster.stop("ingest", "tags")
        found = contents(index)
    except AssertionError as error:
        logs = "\n".join(cluster.log(path.stem) for path in sorted(cluster.logs.glob("*.log")))
        raise AssertionError(f"{error}\n{logs}") from error
    finally:
        index.close()
        cluster.close()
    return found, sums(cluster.settings.data_path / "tagger.sqlite"), [f"i{n}" for n in alive]


def calmly(cluster, index, post):
    """No disturbance."""
    post()


def post(cluster, made, start, stop):
    writer = LogWriter(cluster.settings, "test")
    for number, event in enumerate(made[start:stop], start):
        record = encode(event, source="test", event_id=f"e{number}")
        writer.send(event.topic, *record, timestamp_ms=FIRST_MS + number)
    writer.flush()
    writer.close()


def count(index):
    try:
        return index.count()
    except IndexUnavailableError:
        return 0  # not up yet


def offsets_done(index, made):
    return sum(offset.offset for offset in index.offsets()) == len(made)


def examples_done(cluster):
    return lags(cluster.settings)["examples"]["records"] == 0


def contents(index):
    found, cursor = {}, None
    while True:
        page, cursor = index.scroll(cursor, 100, with_vectors=True, with_raw=True)
        records = index.fetch([hit.image_id for hit in page])
        for hit in page:
            assert hit.image_id not in found, f"{hit.image_id} is there twice"
            record = records[hit.image_id]
            kept = replace(hit.payload, uri="")  # names the folder of this run
            found[hit.image_id] = (kept, record.position, hit.vector.tobytes())
        if cursor is None:
            return found


def sums(path):
    """The exact state, by tag name: row numbers depend on the order in which partitions were read."""
    store = TaggerStore(path, Tagger())
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
