"""The learner on disk: killed at any moment it is what it was at the last checkpoint; what is damaged is refused."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.errors import CheckpointError, StorageUnavailableError
from models.quantise import quantise
from models.tagging.examples import Example
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from tests.digests import digest

VECTORS = quantise(np.eye(4, dtype=np.float32)[np.arange(200) % 4])


def small() -> Tagger:
    return Tagger(dimension=4, neighbours=3, max_exemplars=10)


def examples(start: int, stop: int) -> list[Example]:
    return [Example(f"image {i}", VECTORS[i], (f"tag {i % 7}",)) for i in range(start, stop)]


def test_a_new_file_has_no_offsets(tmp_path: Path) -> None:
    store = TaggerStore(tmp_path / "deep" / "tags.db", small())
    tagger, offsets = store.open()
    assert (tagger.learned, offsets) == (0, {})
    store.close()


def test_state_and_offsets_are_one_unit(tmp_path: Path) -> None:
    store = TaggerStore(tmp_path / "tags.db", small())
    tagger, _ = store.open()
    tagger.learn_many(examples(0, 100), 0)
    store.checkpoint({"examples": 100, "marks": {"images/0": 7}})
    saved = digest(tagger)
    tagger.learn_many(examples(100, 150), 100)
    store.close()  # without a checkpoint
    again = TaggerStore(tmp_path / "tags.db", small())
    tagger, offsets = again.open()
    assert digest(tagger) == saved
    assert offsets == {"examples": 100, "marks": {"images/0": 7}}
    again.close()


def test_a_kill_leaves_the_last_checkpoint_intact(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from tests.unit.models.tagging.test_store import TaggerStore, digest, examples, small
store = TaggerStore(Path(sys.argv[1]), small())
tagger, _ = store.open()
tagger.learn_many(examples(0, 100), 0)
store.checkpoint({"examples": 100})
print(digest(tagger), flush=True)
tagger.learn_many(examples(100, 200), 100)

def wait_at_the_end(statement):
    if statement == "COMMIT":
        print("ready", flush=True)
        sys.stdin.read()

tagger.statistics.memory.database.set_trace_callback(wait_at_the_end)
store.checkpoint({"examples": 200})
"""
    command = [sys.executable, "-c", script, str(tmp_path / "tags.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        saved = child.stdout.readline().strip()
        assert child.stdout.readline().strip() == "ready"
        with pytest.raises(StorageUnavailableError, match=r"no other process .* the last worker may still be ending"):
            TaggerStore(tmp_path / "tags.db", small()).open()
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    store = TaggerStore(tmp_path / "tags.db", small())
    tagger, offsets = store.open()
    assert (digest(tagger), offsets) == (saved, {"examples": 100})
    store.close()


def rows_written(path: Path, tags: int) -> int:
    """How many rows of the file a checkpoint changes after one more example, with so many tags known."""
    store = TaggerStore(path, small())
    tagger, _ = store.open()
    database = tagger.statistics.memory.database
    tagger.learn_many([Example("image", VECTORS[0], tuple(f"tag {i}" for i in range(tags)))], 0)
    store.checkpoint({"examples": 1})
    before = database.total_changes
    tagger.learn_many([Example("other", VECTORS[1], ("tag 3",))], 1)
    store.checkpoint({"examples": 2})
    written = database.total_changes - before
    store.close()
    return written


def test_a_checkpoint_writes_what_changed_however_many_tags_there_are(tmp_path: Path) -> None:
    few, many = rows_written(tmp_path / "few.db", 10), rows_written(tmp_path / "many.db", 1_000)
    assert few == many == 5  # the image, the sums of its tag, G, the sum of all vectors, the facts


def test_sums_of_any_size_come_back(tmp_path: Path) -> None:
    edges = [
        (1, 2**15 - 1),
        (1, -(2**15)),
        (2, 2**15),
        (2, -(2**15) - 1),
        (2**16 - 1, -(2**31) + 2**15),
        (2**16, 2**31),
    ]
    store = TaggerStore(tmp_path / "tags.db", small())
    tagger, _ = store.open()
    for number, (count, largest) in enumerate(edges):
        row = tagger.statistics.vocabulary.row(f"tag {number}", 0)
        tagger.statistics.sums.put(row, count, np.array([largest, 0, 1, -1]))
    store.checkpoint({})
    store.close()
    sums = TaggerStore(tmp_path / "tags.db", small()).open()[0].statistics.sums
    assert [(count, of_tag.tolist()) for count, of_tag in zip(sums.counts.tolist(), sums.tags, strict=True)] == [
        (count, [largest, 0, 1, -1]) for count, largest in edges
    ]


def test_a_path_that_cannot_be_a_file_is_infrastructure(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailableError, match=r"a disk with room that may be written .*; free some space"):
        TaggerStore(tmp_path, small()).open()


def test_versions_of_snapshots_grow_across_restarts(tmp_path: Path) -> None:
    versions = []
    for _ in range(3):
        store = TaggerStore(tmp_path / "tags.db", small())
        tagger, _ = store.open()
        versions.append(tagger.snapshot().version)
        tagger.learn_many(examples(0, 50), tagger.next_position)
        versions.append(tagger.snapshot().version)
        store.close()
    assert versions == sorted(set(versions))


def test_refuses_a_newer_format(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "tags.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(CheckpointError, match=r"format 99.*install a newer mekiki"):
        TaggerStore(tmp_path / "tags.db", small()).open()


def test_refuses_other_settings(tmp_path: Path) -> None:
    store = TaggerStore(tmp_path / "tags.db", small())
    store.open()
    store.checkpoint({})
    store.close()
    with pytest.raises(CheckpointError, match="neighbours"):
        TaggerStore(tmp_path / "tags.db", Tagger(dimension=4, neighbours=4, max_exemplars=10)).open()


@pytest.mark.parametrize("damage", ["garbage", "facts", "array", "tag", "sums"])
def test_refuses_a_damaged_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "tags.db"
    store = TaggerStore(path, small())
    tagger, _ = store.open()
    tagger.learn_many(examples(0, 100), 0)
    store.checkpoint({})
    store.close()
    if damage == "garbage":
        path.write_bytes(b"no database " * 5000)
    else:
        statement = {
            "facts": "UPDATE facts SET json = '{}'",
            "array": "UPDATE arrays SET data = x'00' WHERE name = 'gram'",
            "tag": "DELETE FROM tags WHERE row = 2",
            "sums": "UPDATE sums SET sums = x'0011' WHERE row = 2",
        }[damage]
        with sqlite3.connect(path) as database:
            database.execute(statement)
        database.close()
    with pytest.raises(CheckpointError, match="damaged"):
        TaggerStore(path, small()).open()


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from models.errors import StateLostError
from tests.unit.models.tagging.test_store import TaggerStore, digest, examples, small
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
path, in_mid_learning = Path(sys.argv[1]), sys.argv[2] == "learning"
store = TaggerStore(path, small())
tagger, _ = store.open()
tagger.learn_many(examples(0, 60), 0)
store.checkpoint({"examples": 60})
limit(path.with_name(path.name + "-wal").stat().st_size + 1_000)
if in_mid_learning:
    tagger.statistics.memory.database.execute("PRAGMA cache_size = 1")  # every page goes to the disk at once
for attempt in range(2):
    try:
        tagger.learn_many(examples(60, 150), tagger.next_position)
        store.checkpoint({"examples": 150})
    except StateLostError as error:
        print(error)
limit(resource.RLIM_INFINITY)
try:
    store.checkpoint({"examples": 150})  # there is room again, but what it would complete is gone
except StateLostError:
    print("still lost")
store.close()
store = TaggerStore(path, small())
tagger, offsets = store.open()
print(offsets)
tagger.learn_many(examples(60, 150), tagger.next_position)
store.checkpoint({"examples": 150})
store.close()
"""


@pytest.mark.parametrize("where", ["checkpoint", "learning"])
def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_stands(tmp_path: Path, where: str) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "tags.db"), where]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second, lost, offsets = done.stdout.splitlines()
    assert first.startswith("learned images:" if where == "learning" else f"state {tmp_path}")
    assert "free some space" in first
    assert "start again, it goes on from the last checkpoint" in first
    assert "start again, it goes on from the last checkpoint" in second
    assert (lost, offsets) == ("still lost", "{'examples': 60}")
    store, undisturbed = TaggerStore(tmp_path / "tags.db", small()), small()
    undisturbed.learn_many(examples(0, 60), 0)
    undisturbed.learn_many(examples(60, 150), 60)
    tagger, offsets_then = store.open()
    assert (digest(tagger), offsets_then) == (digest(undisturbed), {"examples": 150})
    store.close()
