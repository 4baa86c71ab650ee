"""Forty disturbances while a story of 300 images is told: the outcome is that of a calm run, to the bit.

MEKIKI_TEST_SEED orders and aims them otherwise; `-s` prints what was done and compared.
"""

import os
import uuid
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from stream.build import build_encoder, open_index
from tests.cluster import Cluster, embedded_kafka, kafka_skip_reason, real_kafka
from tests.faults.disturbances import PLAN, Disturber, plan
from tests.faults.offsets_first import BETWEEN
from tests.faults.outcome import Outcome, outcome, read_topic, unlike, unlike_replay
from tests.faults.story import PARTITIONS, Story
from tests.faults.telling import Telling

SEED = int(os.environ.get("MEKIKI_TEST_SEED", "1"))
IMAGES = 7  # in a chapter; one disturbance after each chapter but the last
QDRANT_URL = os.environ.get("MEKIKI_TEST_QDRANT_URL")
WORKERS = ("ingest", "ingest-2", "tags", "ranking", "serve")

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@contextmanager
def telling(bootstrap, folder, story, *, session_ms=2_000, qdrant=None):
    """A cluster to tell a story to. Small batches and many checkpoints: whatever happens meets something in between."""
    sections = {
        "kafka": {"session_timeout_ms": session_ms, "partitions": PARTITIONS},
        "encoder": {"batch_size": 4},
        "tagging": {"checkpoint_interval_s": 0.5},
        "ranking": {"checkpoint_interval_s": 0.5},
    }
    if qdrant:
        sections["qdrant"] = {"url": qdrant, "prefer_grpc": False, "collection": f"mekiki_test_{uuid.uuid4().hex}"}
    cluster = Cluster(bootstrap, folder, embedded=False, **sections)  # a group, and an end without a drain
    with closing(open_index(cluster.settings)) as index, closing(Telling(cluster, index, story)) as running:
        try:
            if qdrant:
                encoder = build_encoder(cluster.settings)
                index.open(encoder.version, encoder.dimension)
            else:
                cluster.start("index")
            yield running
        except AssertionError as error:
            logs = "\n".join(
                f"--- {path.stem}\n{cluster.log(path.stem)}" for path in sorted(cluster.logs.glob("*.log"))
            )
            raise AssertionError(f"{error}\n{logs}") from error
        finally:
            cluster.close()
            if qdrant:
                index.drop()


def finish(running: Telling, replays: Path) -> tuple[Outcome, list[str]]:
    """Let everything be learned, ask the search API, end the workers; what there is, and where replays differ."""
    cluster, settings = running.cluster, running.cluster.settings
    cluster.stop(*[name for name in cluster.processes if name.startswith("ingest")])
    running.learned("examples", "tags", read_topic(settings, "examples")[-1].offset + 1)
    running.learned("clicks", "ranking", running.story.count("clicks"))
    running.answers()
    cluster.stop("tags", "ranking", "serve")
    return outcome(settings, running.index), unlike_replay(settings, running.index, replays)


def calmly(chapter: int) -> None:
    """No disturbance."""


@pytest.fixture(scope="module")
def story() -> Story:
    return Story(chapters=len(PLAN) + 1, images=IMAGES)


@pytest.fixture(scope="module")
def calm(story, tmp_path_factory) -> Outcome:
    """The same story with nothing in its way, told once for all brokers and indexes."""
    folder = tmp_path_factory.mktemp("calm")
    with embedded_kafka(folder) as bootstrap, telling(bootstrap, folder / "data", story) as running:
        running.cluster.start(*WORKERS)
        running.tell(calmly, calmly)
        found, replayed = finish(running, folder / "replay")
    assert unlike(found, found, story) + replayed == []
    return found


def test_forty_disturbances_change_nothing_on_the_embedded_pair(story, calm, tmp_path):
    with embedded_kafka(tmp_path) as bootstrap, telling(bootstrap, tmp_path / "data", story) as running:
        disturb(running, calm, tmp_path, plan(SEED, index=True))


@pytest.mark.skipif(kafka_skip_reason() is not None, reason=kafka_skip_reason() or "")
@pytest.mark.parametrize("qdrant", [None, QDRANT_URL], ids=["embedded index", "qdrant"])
def test_forty_disturbances_change_nothing_on_kafka(story, calm, tmp_path, qdrant, request):
    if "qdrant" in request.node.callspec.id and not qdrant:
        pytest.skip("MEKIKI_TEST_QDRANT_URL names no Qdrant server")
    with (
        real_kafka(tmp_path) as bootstrap,
        telling(bootstrap, tmp_path / "data", story, session_ms=6_000, qdrant=qdrant) as running,
    ):
        disturb(running, calm, tmp_path, plan(SEED, index=qdrant is None))


def disturb(running: Telling, calm: Outcome, folder: Path, disturbances: list[tuple[str, str]]) -> None:
    """Tell the story, a disturbance after each chapter, and compare."""
    running.cluster.start(*WORKERS)
    disturber = Disturber(running, disturbances, SEED)
    running.tell(disturber.ready, disturber.disturb)
    found, replayed = finish(running, folder / "replay")
    done = disturber.done + Counter(f"{name} ended by itself and was started again" for name in running.restarted)
    print(f"seed {SEED}, {disturber.done.total()} disturbances, {disturber.met} with records in flight:")
    print(*(f"{count} x {what}" for what, count in sorted(done.items())), sep="\n")
    repeated = len(read_topic(running.cluster.settings, "examples")) - len(found.examples)
    print(
        f"compared: {len(found.images)} images, {len(found.waiting)} that wait, {len(found.examples)} examples "
        f"(sent again: {repeated}), {len(found.sums[1])} tags, {len(found.operations)} operations, "
        f"{found.letters.total()} dead letters"
    )
    assert unlike(calm, found, running.story) + replayed == []
    assert disturber.done.total() == len(PLAN)


@pytest.mark.parametrize(("worker", "caught"), [
    ("ingest", {"images", "waiting", "examples"}), ("tags", {"learned", "sums", "tagger"}),
])  # fmt: skip
def test_a_worker_that_stores_offsets_before_its_state_is_caught(story, calm, tmp_path, worker, caught):
    """The control: the same comparison fails for one that is killed between the two."""
    with embedded_kafka(tmp_path) as bootstrap, telling(bootstrap, tmp_path / "data", story) as running:
        cluster, between = running.cluster, running.cluster.settings.data_path / BETWEEN

        def kill_between() -> None:
            if between.exists():
                between.unlink()
                cluster.kill(worker)
                cluster.start(worker)

        cluster.start(*({"ingest", "tags", "ranking", "serve"} - {worker}))
        cluster.start(worker, module="tests.faults.offsets_first")
        running.meanwhile = kill_between
        running.tell(calmly, calmly)
        found, replayed = finish(running, tmp_path / "replay")
    differences = unlike(calm, found, story) + replayed
    print(*differences, sep="\n")
    assert {difference.partition(":")[0] for difference in differences} >= caught
