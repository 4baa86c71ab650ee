"""Learned state on disk: one unit, whatever kills the process; damaged, held or full is one sentence."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.errors import CheckpointError, StorageUnavailableError
from models.state_file import PAGE_BYTES, Arrays, Facts, Saved, StateFile

FORMAT = 3
Result = TypeVar("Result")


def opened(path: Path, use: Callable[[StateFile], Result]) -> Result:
    file = StateFile(path, format_number=FORMAT)
    try:
        return use(file)
    finally:
        file.close()


def load(path: Path) -> Saved | None:
    return opened(path, StateFile.load)


def state(n: int) -> tuple[Facts, Arrays]:
    """A state of which every part says the same number."""
    return {"n": n, "offsets": [{"topic": "clicks", "offset": n}]}, {"w": np.full((50, 100), n, np.float32)}


def whole(found: Saved | None) -> int:
    """The number that all parts say."""
    assert found is not None
    facts, of_arrays = found
    n = int(facts["n"])
    assert (of_arrays["w"] == n).all()
    assert facts["offsets"][0]["offset"] == n
    return n


def start(code: str, path: Path, **options: Any) -> subprocess.Popen[str]:
    """A process of its own that has `state`, the path and the file, open."""
    prelude = """
        import sys, resource, numpy as np
        from pathlib import Path
        from tests.unit.models.test_state_file import FORMAT, StateFile, state
        file = StateFile(Path(sys.argv[1]), format_number=FORMAT)
    """
    command = [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(code), str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5,
)  # fmt: skip
ARRAYS = arrays.arrays(
    st.sampled_from([np.float32, np.float64, np.int64, np.int16]),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0),
)
STATES = st.tuples(
    st.dictionaries(st.text(max_size=5), VALUES, max_size=3), st.dictionaries(st.text(max_size=5), ARRAYS, max_size=3)
)


@given(st.lists(STATES, min_size=1, max_size=3))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_gives_back_what_was_saved_last_to_the_bit(tmp_path: Path, states: list[tuple[Facts, Arrays]]) -> None:
    for saved in states:
        opened(tmp_path / "state.sqlite", lambda file, saved=saved: file.save(*saved))  # type: ignore[misc]
    found = load(tmp_path / "state.sqlite")
    assert found is not None
    facts, of_arrays = states[-1]
    assert found[0] == facts
    assert found[1].keys() == of_arrays.keys()
    for name, array in of_arrays.items():
        assert (found[1][name].dtype, found[1][name].shape) == (array.dtype, array.shape)
        assert found[1][name].tobytes() == array.tobytes()


def test_a_new_file_holds_nothing(tmp_path: Path) -> None:
    assert load(tmp_path / "deep" / "state.sqlite") is None


def test_an_array_that_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    def use(file: StateFile) -> int:
        file.save({"n": 1}, {"same": np.zeros(3), "other": np.zeros(3)})
        before = file.database.total_changes
        file.save({"n": 2}, {"same": np.zeros(3), "other": np.ones(3)})
        return file.database.total_changes - before

    assert opened(tmp_path / "s", use) == 2  # the facts and one array


def test_a_failed_save_leaves_the_last_one(tmp_path: Path) -> None:
    def use(file: StateFile) -> Saved | None:
        file.save(*state(1))
        with pytest.raises(TypeError):
            file.save({"n": object()}, {})
        return file.load()

    assert whole(opened(tmp_path / "s", use)) == 1


def test_sigkill_between_and_inside_saves_leaves_a_whole_state(tmp_path: Path) -> None:
    path, least = tmp_path / "state.sqlite", 0
    for kills_after in (1, 3, 7):
        process = start(f"""
            for n in range({least} + 1, 10**9):
                file.save(*state(n))
                print(n, flush=True)
        """, path)  # fmt: skip
        assert process.stdout is not None
        for _ in range(kills_after):
            reported = process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        found = whole(load(path))
        assert found >= int(reported)  # durable once reported
        least = found


@pytest.mark.parametrize(("found", "remedy"), [(FORMAT + 1, "newer mekiki"), (FORMAT - 1, "learn again from the log")])
def test_refuses_another_format(tmp_path: Path, found: int, remedy: str) -> None:
    path = tmp_path / "state.sqlite"
    opened(path, lambda file: file.save(*state(1)))
    edit(path, f"PRAGMA user_version={found}")
    with pytest.raises(CheckpointError, match=f"format {found}: expected {FORMAT}; .*{remedy}"):
        load(path)


def edit(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()


def damage(path: Path, change: Callable[[bytearray], object]) -> None:
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


@pytest.mark.parametrize("change", [
    lambda content: content.__setitem__(slice(0, 100), b"x" * 100),
    lambda content: content.__delitem__(slice(PAGE_BYTES + 1_000, None)),
    lambda content: content.__setitem__(slice(PAGE_BYTES, 2 * PAGE_BYTES), os.urandom(PAGE_BYTES)),
], ids=["header", "truncated", "page"])  # fmt: skip
def test_refuses_a_damaged_file(tmp_path: Path, change: Callable[[bytearray], object]) -> None:
    path = tmp_path / "state.sqlite"
    opened(path, lambda file: file.save(*state(1)))
    damage(path, change)
    with pytest.raises(CheckpointError, match=r"damaged .*; restore it from a backup"):
        load(path)


@given(st.integers(0, 2**30), st.integers(0, 7))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_is_refused_or_does_no_harm(tmp_path: Path, position: int, bit: int) -> None:
    path = tmp_path / "state.sqlite"
    path.unlink(missing_ok=True)
    opened(path, lambda file: file.save(*state(1)))

    def flip(content: bytearray) -> None:
        content[position % len(content)] ^= 1 << bit

    damage(path, flip)
    try:
        found = load(path)
    except (CheckpointError, StorageUnavailableError):
        return
    assert found is None or whole(found) == 1


@pytest.mark.parametrize("statement", [
    "UPDATE facts SET json='{'",
    "UPDATE facts SET json=replace(json, 'clicks', 'images')",
    "DELETE FROM arrays",
    "UPDATE arrays SET name='v'",
    "UPDATE arrays SET dtype='<f8'",
    "UPDATE arrays SET shape='[3]'",
])  # fmt: skip
def test_refuses_what_somebody_edited(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "state.sqlite"
    opened(path, lambda file: file.save(*state(1)))
    edit(path, statement)
    with pytest.raises(CheckpointError, match="damaged"):
        load(path)


def test_a_file_that_another_process_holds_is_infrastructure(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    process = start("print('open', flush=True); sys.stdin.read()", path, stdin=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(StorageUnavailableError) as caught:
            load(path)
    finally:
        process.communicate()
    assert str(caught.value) == (
        f"state {path}: expected a file that no other process has open; the last worker may still be ending: "
        "wait for it, or stop it"
    )
    assert load(path) is None


def test_a_full_disk_is_infrastructure_and_leaves_the_last_state(tmp_path: Path) -> None:
    process = start("""
        from models.errors import StorageUnavailableError
        file.save(*state(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        try:
            for n in range(2, 100):
                file.save({"n": 0}, {"w": np.full(n * 10_000, n)})
        except StorageUnavailableError as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        file.save(*state(int(file.load()[1]["w"].max()) + 1))
    """, tmp_path / "s")  # fmt: skip
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    assert f"state {tmp_path / 's'}: expected a disk with room" in said
    assert whole(load(tmp_path / "s")) > 1


def test_a_folder_that_cannot_be_made_is_infrastructure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailableError, match="state folder"):
        load(tmp_path / "file" / "state.sqlite")
