"""The loop: stopped and gone on with is the same as never stopped, and what cannot be learned is refused."""

import errno
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.encoders.training.checkpoint import MODULE
from models.encoders.training.loop import Recipe, rate_at, train
from models.errors import CheckpointError, StorageUnavailableError, UsageError
from tests.unit.models.encoders.training.shapes import silent


class Line:
    """Learns y = 2 x with dropout and batch norm, so that every kind of state is in it."""

    is_even = True

    def __init__(self, truth=2.0):
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, 1))
        self.x = torch.linspace(-1, 1, 96).reshape(32, 3)
        self.y = self.x.sum(1, keepdim=True) * truth
        self.epochs = 0

    def steps(self, batch):
        return -(-len(self.x) // batch)

    def batches(self, batch, chance):
        self.epochs += 1
        order = torch.from_numpy(chance.permutation(len(self.x)))
        for start in range(0, len(order), batch):
            yield self.x[order[start : start + batch]], self.y[order[start : start + batch]]

    def loss(self, module, batch):
        return (module(batch[0]) - batch[1]).square().mean()

    def evaluate(self, module):
        return float(self.loss(module, (self.x, self.y)))


class Stop(Exception):
    pass


def stop_in_epoch(name):
    def report(what, done, total):
        if what == name:
            raise Stop

    return report


def weights(task):
    return torch.cat([value.double().flatten() for value in task.module.state_dict().values()])


def test_a_run_that_was_killed_ends_with_the_bits_of_one_that_was_not(tmp_path: Path):
    recipe = Recipe(epochs=6, batch=8, rate=0.05)
    calm, killed, again = Line(), Line(), Line()
    course = train(calm, recipe, silent)
    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stop):
        train(killed, recipe, stop_in_epoch("epoch 4"), checkpoint=checkpoint, run="a")
    went_on = train(again, recipe, silent, checkpoint=checkpoint, run="a")
    assert again.epochs == 3
    assert torch.equal(weights(calm), weights(again))
    assert went_on == course
    assert course.held_out[course.best] == min(course.held_out) < course.start / 5


def test_a_run_that_is_done_learns_nothing_more(tmp_path: Path):
    recipe = Recipe(epochs=2, batch=8)
    first, second = Line(), Line()
    train(first, recipe, silent, checkpoint=tmp_path / "c", run="a")
    train(second, recipe, silent, checkpoint=tmp_path / "c", run="a")
    assert second.epochs == 0
    assert torch.equal(weights(first), weights(second))


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(tmp_path: Path):
    path = tmp_path / "c"
    train(Line(), Recipe(epochs=1), silent, checkpoint=path, run="a")
    with pytest.raises(CheckpointError, match="one of this run"):
        train(Line(), Recipe(epochs=1), silent, checkpoint=path, run="b")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="damaged"):
        train(Line(), Recipe(epochs=1), silent, checkpoint=path, run="a")


def test_a_checkpoint_holds_nothing_but_numbers_and_json(tmp_path: Path):
    path = tmp_path / "c"
    train(Line(), Recipe(epochs=1), silent, checkpoint=path, run="a")
    content = path.read_bytes()
    assert content[8:9] == b"{"  # safetensors: a length, then JSON
    assert f'"{MODULE}.1.weight"'.encode() in content


def test_a_full_disk_is_one_sentence_and_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch):
    path = tmp_path / "c"
    train(Line(), Recipe(epochs=2), silent, checkpoint=path, run="a")
    before = path.read_bytes()

    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageUnavailableError, match="disk is full; free some space"):
        train(Line(), Recipe(epochs=3), silent, checkpoint=path.with_name("d"), run="a")
    assert [file.name for file in tmp_path.iterdir()] == ["c"]
    assert path.read_bytes() == before


def test_numbers_that_are_not_finite_end_the_run(tmp_path: Path):
    with pytest.raises(UsageError, match="loss nan in epoch 1: expected a finite number; lower --rate"):
        train(Line(truth=float("nan")), Recipe(epochs=2), silent, checkpoint=tmp_path / "c", run="a")
    assert not list(tmp_path.iterdir())


def test_it_ends_where_nothing_is_gained():
    task = Line()
    losses = iter([5.0, 3.0, 2.0, 2.5, 2.4, 1.0])
    task.evaluate = lambda module: next(losses)
    course = train(task, Recipe(epochs=50, batch=8, patience=2), silent)
    assert course.start == 5.0
    assert course.held_out == (3.0, 2.0, 2.5, 2.4)
    assert course.best == 1


def test_the_rate_rises_in_a_line_and_falls_along_a_cosine():
    recipe = Recipe(epochs=1, rate=0.1, warm_up=0.1)
    rates = np.array([rate_at(step, 100, recipe) for step in range(100)])
    assert np.allclose(rates[:10], 0.01 * np.arange(1, 11))
    assert rates[10] == pytest.approx(0.1)
    assert rates[55] == pytest.approx(0.05)
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[-1] < 1e-4
