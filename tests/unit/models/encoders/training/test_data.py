"""What is trained on: which pictures are held out, rows on disk, and plans that outlive a stop."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.encoders.training.data.pictures import Part, Recording, Sample, keep_rows
from models.encoders.training.data.rows import RowFile
from models.encoders.training.data.split import batches, chunks, held_out
from models.errors import CheckpointError, StorageUnavailableError, UsageError
from tests.unit.models.encoders.training.shapes import Shapes, silent

SMALL = Recording((Part("small", (16, 16, 3), np.uint8),), lambda images: [images[:, ::14, ::14]])


@given(st.sets(st.text(max_size=8), min_size=1, max_size=60), st.sets(st.text(max_size=8), max_size=20))
def test_pictures_that_come_move_none_to_the_other_side(first, more):
    before, after = sorted(first), sorted(first | more)
    apart = {before[row] for row in held_out(before, {}, seed=3, share=0.3)}
    later = {after[row] for row in held_out(after, {}, seed=3, share=0.3)}
    assert apart
    assert len(apart) == 1 or apart <= later


def test_a_near_duplicate_of_a_training_picture_is_not_held_out():
    source = Shapes(40)
    apart = held_out(source.ids, {}, seed=0, share=0.3)
    trained = next(row for row in range(40) if row not in apart)
    source.copy_of(source.ids[apart[0]], source.ids[trained])
    assert apart[0] not in held_out(source.ids, source.looks, seed=0, share=0.3)


def test_copies_of_each_other_stay_on_one_side():
    source = Shapes(40)
    apart = held_out(source.ids, {}, seed=0, share=0.3)
    trained = next(row for row in range(40) if row not in apart)
    for row in apart[:3]:
        source.copy_of(source.ids[row], source.ids[trained])
    assert not set(apart[:3]) & set(held_out(source.ids, source.looks, seed=0, share=0.3))


@given(st.integers(0, 200), st.integers(1, 50), st.integers(0, 9))
def test_an_epoch_reads_every_row_once(count, size, seed):
    read = [row for chunk in chunks(range(count), np.random.default_rng(seed), size) for row in chunk]
    assert sorted(read) == list(range(count))


@given(st.integers(2, 200), st.integers(2, 50), st.integers(0, 9))
def test_batches_are_all_places_once_and_never_a_single_one(count, size, seed):
    found = list(batches(count, size, np.random.default_rng(seed)))
    assert sorted(np.concatenate(found)) == list(range(count))
    assert all(2 <= len(batch) <= size + 1 for batch in found)


@given(st.lists(st.integers(0, 29), max_size=40))
def test_rows_come_back_as_they_were_written_in_any_order(tmp_path_factory, wanted):
    written = np.arange(30 * 6, dtype=np.float32).reshape(30, 2, 3)
    rows = RowFile(tmp_path_factory.mktemp("rows") / "r", (2, 3), np.float32)
    for part in np.split(written, [1, 7, 20]):
        rows.append(part)
    assert len(rows) == 30
    assert np.array_equal(rows.read(wanted), written[np.array(wanted, int)])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
def test_a_full_disk_is_one_sentence():
    with pytest.raises(StorageUnavailableError, match="the disk is full; free some space, then start again"):
        RowFile(Path("/dev/full"), (4,), np.float32).append(np.ones((5, 4), np.float32))


def test_a_run_goes_on_with_the_pictures_it_began_with(tmp_path: Path):
    source, sample = Shapes(30), Sample("run")
    source.gone = {source.ids[4]}
    plan, (rows,) = keep_rows(source, tmp_path, sample, SMALL, silent)
    assert len(plan.ids) == 29
    later = Shapes(45)
    again, _ = keep_rows(later, tmp_path, sample, SMALL, silent)
    assert again == plan
    assert not later.asked
    assert set(plan.training) | set(plan.held_out) == set(range(29))
    assert np.array_equal(rows.read([0])[0], source.load([plan.ids[0]])[0][::14, ::14])


def test_a_folder_of_another_run_is_refused(tmp_path: Path):
    keep_rows(Shapes(30), tmp_path, Sample("run"), SMALL, silent)
    with pytest.raises(CheckpointError, match="repeat these, choose another folder or remove this one"):
        keep_rows(Shapes(30), tmp_path, Sample("other"), SMALL, silent)


@pytest.mark.parametrize("gone", [False, True])
def test_too_few_pictures_that_can_be_read_are_refused(tmp_path: Path, gone):
    source = Shapes(30 if gone else 5)
    source.gone = set(source.ids[3:]) if gone else set()
    with pytest.raises(UsageError, match="20 or more that can be read; post some"):
        keep_rows(source, tmp_path, Sample("run"), SMALL, silent)
    assert not (tmp_path / "plan.json").exists()
