"""Learned state and offsets: one unit, whatever kills the process."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.errors import CheckpointError, ConfigurationError, StorageUnavailableError
from stream.learn.checkpoint import SCHEMA_VERSION, Checkpoint, State
from stream.log.positions import StoredOffset


def offset(at):
    return StoredOffset("clicks", 0, at, "topic-1", 0)


def state(n):
    """A state of which every part says the same number."""
    return State({"w": np.full((50, 100), n, np.float32)}, {"n": n}, [offset(n)])


def check_whole(found):
    n = found.document["n"]
    assert (found.arrays["w"] == n).all()
    assert list(found.offsets) == [offset(n)]
    return n


def start(code: str, path, **options) -> subprocess.Popen:
    """A process of its own that has `state` and the path."""
    prelude = """
        import sys, resource, numpy as np
        from pathlib import Path
        from stream.learn.checkpoint import Checkpoint, State
        from tests.unit.stream.learn.test_checkpoint import state
        path = Path(sys.argv[1])
    """
    text = textwrap.dedent(prelude) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", text, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5,
)  # fmt: skip
ARRAYS = arrays.arrays(
    st.sampled_from([np.float32, np.float64, np.int64, np.int16]),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0),
)


@given(
    st.dictionaries(st.text(max_size=5), ARRAYS, max_size=3), st.dictionaries(st.text(max_size=5), VALUES, max_size=3),
    st.lists(st.builds(StoredOffset, st.text(max_size=5), st.integers(0, 9), st.integers(0, 2**41), st.text(max_size=5),
                       st.integers(0, 9)), max_size=3),
)  # fmt: skip
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_gives_back_what_was_saved_to_the_bit(tmp_path, arrays, document, offsets):
    path = tmp_path / "state.sqlite"
    with_checkpoint(path, lambda c: c.save(State(arrays, document, offsets)))
    found = with_checkpoint(path, lambda c: c.load())
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (found.arrays[name].dtype, found.arrays[name].shape) == (array.dtype, array.shape)
        assert found.arrays[name].tobytes() == array.tobytes()
    assert (found.document, found.offsets) == (document, offsets)


def with_checkpoint(path, use):
    checkpoint = Checkpoint(path)
    try:
        return use(checkpoint)
    finally:
        checkpoint.close()


def test_a_new_file_holds_nothing(tmp_path):
    assert with_checkpoint(tmp_path / "deep" / "state.sqlite", lambda c: c.load()) is None


def test_a_save_replaces_everything(tmp_path):
    def use(checkpoint):
        checkpoint.save(State({"old": np.zeros(3)}, {"a": 1}, [offset(1)]))
        checkpoint.save(State({"new": np.ones(2)}, {"b": 2}, []))
        return checkpoint.load()

    found = with_checkpoint(tmp_path / "s", use)
    assert (list(found.arrays), found.document, list(found.offsets)) == (["new"], {"b": 2}, [])


def test_a_failed_save_leaves_the_last_one(tmp_path):
    def use(checkpoint):
        checkpoint.save(state(1))
        with pytest.raises(TypeError):
            checkpoint.save(State({}, {"n": object()}, []))
        return checkpoint.load()

    assert check_whole(with_checkpoint(tmp_path / "s", use)) == 1


def test_sigkill_between_and_inside_saves_leaves_a_whole_state(tmp_path):
    path, least = tmp_path / "state.sqlite", 0
    for kills_after in (1, 3, 7):
        process = start(f"""
            checkpoint = Checkpoint(path)
            for n in range({least} + 1, 10**9):
                checkpoint.save(state(n))
                print(n, flush=True)
        """, path)  # fmt: skip
        for _ in range(kills_after):
            reported = process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        found = check_whole(with_checkpoint(path, lambda c: c.load()))
        assert found >= int(reported)  # durable once reported
        least = found


def test_refuses_a_newer_format(tmp_path):
    path = tmp_path / "state.sqlite"
    with_checkpoint(path, lambda c: c.save(state(1)))
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    database.close()
    with pytest.raises(CheckpointError, match=f"format {SCHEMA_VERSION + 1}.*newer mekiki"):
        Checkpoint(path)


def damaged(path, change):
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


@pytest.mark.parametrize("change", [
    lambda content: content.__setitem__(slice(0, 100), b"x" * 100),
    lambda content: content.__delitem__(slice(5_000, None)),
    lambda content: content.__setitem__(slice(4_096, 8_192), os.urandom(4_096)),
], ids=["header", "truncated", "page"])  # fmt: skip
def test_refuses_a_damaged_file(tmp_path, change):
    path = tmp_path / "state.sqlite"
    with_checkpoint(path, lambda c: c.save(state(1)))
    damaged(path, change)
    with pytest.raises(CheckpointError, match="backup"):
        with_checkpoint(path, lambda c: c.load())


@given(st.integers(0, 2**30), st.integers(0, 7))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_is_refused_or_does_no_harm(tmp_path, position, bit):
    path = tmp_path / "state.sqlite"
    path.unlink(missing_ok=True)
    with_checkpoint(path, lambda c: c.save(state(1)))
    damaged(
        path, lambda content: content.__setitem__(position % len(content), content[position % len(content)] ^ 1 << bit)
    )
    try:
        found = with_checkpoint(path, lambda c: c.load())
    except (CheckpointError, StorageUnavailableError):
        return
    assert found is None or check_whole(found) == 1


@pytest.mark.parametrize("statement", [
    "UPDATE documents SET json='{' WHERE name='state'",
    "UPDATE documents SET json='[{}]' WHERE name='offsets'",
    "DELETE FROM documents WHERE name='offsets'",
    "UPDATE arrays SET dtype='<f8'",
    "UPDATE arrays SET shape='[3]'",
])  # fmt: skip
def test_refuses_what_somebody_edited(tmp_path, statement):
    path = tmp_path / "state.sqlite"
    with_checkpoint(path, lambda c: c.save(state(1)))
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()
    with pytest.raises(CheckpointError, match="damaged"):
        with_checkpoint(path, lambda c: c.load())


def test_two_workers_cannot_hold_one_state(tmp_path):
    path = tmp_path / "state.sqlite"
    process = start(
        "checkpoint = Checkpoint(path); print('open', flush=True); sys.stdin.read()", path, stdin=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(ConfigurationError, match="held by another worker; stop it or use another data directory"):
            Checkpoint(path)
    finally:
        process.communicate()
    Checkpoint(path).close()


def test_a_full_disk_is_infrastructure_and_leaves_the_last_state(tmp_path):
    process = start("""
        from models.errors import StorageUnavailableError
        checkpoint = Checkpoint(path)
        checkpoint.save(state(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        try:
            for n in range(2, 100):
                checkpoint.save(State({"w": np.zeros(n * 10_000)}, {}, []))
        except StorageUnavailableError as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        checkpoint.save(state(checkpoint.load().document["n"] + 1))
    """, tmp_path / "s")  # fmt: skip
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    assert str(tmp_path) in said
    assert check_whole(with_checkpoint(tmp_path / "s", lambda c: c.load())) == 2


def test_a_folder_that_cannot_be_made_is_infrastructure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailableError):
        Checkpoint(tmp_path / "file" / "state.sqlite")
