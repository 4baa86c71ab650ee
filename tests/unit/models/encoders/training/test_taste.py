"""Taste: learned from pairs, each picture once a batch, and judged on pictures that were held out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.encoders.networks.build import build_network
from models.encoders.training.data.pictures import Plan
from models.encoders.training.data.preferences import (
    gains_of,
    label_pairs,
    pairs_from_list,
    pairs_from_ratings,
    split_pairs,
)  # fmt: skip
from models.encoders.training.data.rows import RowFile
from models.encoders.training.export import GRAPH, manifest_of, run_graph, write_files
from models.encoders.training.loop import Recipe
from models.encoders.training.taste import Preferences, TasteOptions, train_taste
from models.encoders.training.taste_task import TasteTask
from models.errors import UsageError
from models.preprocess import Preprocessing
from models.ranking.pairs import Pair
from tests.unit.models.encoders.training.shapes import Shapes, silent


def liked(source):
    """Red before green before blue."""
    return {name: float(("blue", "green", "red").index(source.tags[name][0])) for name in source.ids}


def options(network, cut=""):
    recipe = Recipe(epochs=3, batch=64, rate=1e-3, weight_decay=0.1)
    return TasteOptions(network, cut, recipe, Recipe(epochs=1, batch=64, rate=1e-4), "cpu", 0.25, 1)


@pytest.mark.parametrize("network", ["small-cnn", "body"])
def test_an_order_by_colour_is_learned_and_served(tmp_path: Path, network):
    source = Shapes(36)
    ratings = liked(source)
    said = Preferences(pairs_from_ratings(ratings, 0), ratings)
    done = train_taste(source, said, tmp_path / "run", options(network), silent)
    best = max(order.accuracy for order in done.orders.values())
    assert best > 0.9
    assert done.orders[done.trained.training["kept"]].accuracy == best
    assert all(0 < order.ndcg <= 1 for order in done.orders.values())
    write_files(done.network, done.trained, tmp_path / "out", {})
    images = np.zeros((2, done.trained.size_px, done.trained.size_px, 3), np.uint8)
    images[0, ..., 0] = 220
    features, scores = run_graph(tmp_path / "out" / GRAPH, images, ["features", "score"])
    assert features.shape == (2, done.trained.features[0][1])
    again = build_network(done.trained.kind, done.trained.arguments)
    again.load_state_dict(done.network.state_dict())
    with torch.no_grad():
        assert np.allclose(again(torch.from_numpy(images))[1].numpy(), scores, atol=1e-2)


def test_what_learned_from_faces_is_served_faces(tmp_path: Path):
    source = Shapes(36)
    said = Preferences(pairs_from_ratings(liked(source), 0))
    for cut in ("", "face"):
        done = train_taste(source, said, tmp_path / f"run{cut}", options("small-cnn", cut), silent)
        assert manifest_of(done.trained, "mine").preprocessing == Preprocessing(80, cut=cut)


class Counting(nn.Module):
    """Scores pictures by one number, and says how many it saw."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.seen = []

    def forward(self, numbers):
        self.seen.append(len(numbers))
        return numbers, (numbers * self.weight).squeeze(1)


def plan_of(pairs, held=(), gains=None, count=6):
    plan = Plan("run", tuple("abcdef"[:count]), tuple(held), "here")
    rows = [("abcdef".index(one), "abcdef".index(other), 1.0) for one, other in pairs]
    return Plan(plan.run, plan.ids, plan.held_out, plan.position, {"pairs": rows, "gains": gains or {}})


def task_of(plan, folder):
    kept = RowFile(folder / "numbers.rows", (1,), np.float32)
    kept.append(np.arange(6, dtype=np.float32)[:, None])
    return TasteTask(Counting(), plan, [kept])


def test_a_picture_goes_through_the_network_once_a_batch(tmp_path: Path):
    plan = plan_of([("a", "b"), ("a", "c"), ("b", "c"), ("a", "b")], held=(5,))
    task = task_of(plan, tmp_path)
    (batch,) = task.batches(10, np.random.default_rng(0))
    loss = task.loss(task.module, batch)
    assert task.module.seen == [3]
    margins = np.array([-1.0, -2.0, -1.0, -1.0])
    assert float(loss.detach()) == pytest.approx(np.log1p(np.exp(-margins)).mean(), rel=1e-5)


def test_a_pair_with_a_held_out_picture_is_watched_and_never_learned(tmp_path: Path):
    plan = plan_of([("a", "b"), ("a", "f"), ("f", "e"), ("c", "d")], held=(4, 5))
    learned, watched = split_pairs(plan)
    assert learned.rows.tolist() == [[0, 1], [2, 3]]
    assert watched.rows.tolist() == [[0, 5], [5, 4]]
    task = task_of(plan, tmp_path)
    order = task.order(task.module)
    assert order.accuracy == 0.5  # a before f is wrong, f before e is right
    assert order.ndcg == 1.0


def test_how_good_held_out_pictures_are_is_what_was_said_or_how_often_they_won():
    pairs = [("a", "f"), ("f", "e"), ("f", "b")]
    assert gains_of(plan_of(pairs, held=(4, 5))) == ([4, 5], [0.0, pytest.approx(2 / 3)])
    assert gains_of(plan_of(pairs, held=(4, 5), gains={"4": 3.0, "0": -1.0})) == ([4], [4.0])


def test_pairs_are_drawn_from_ratings_with_the_better_one_first():
    ratings = {"a": 1.0, "b": 2.0, "c": 2.0}
    pairs = pairs_from_ratings(ratings, 0)
    assert pairs == pairs_from_ratings(ratings, 0)
    assert {(pair.preferred, pair.over) for pair in pairs} == {("b", "a"), ("c", "a")}
    assert {(p.preferred, p.over) for p in pairs_from_list(["x", "y", "x"], 0)} == {("x", "y")}
    assert pairs_from_ratings({}, 0) == []


def test_too_few_pairs_are_refused():
    plan = plan_of([], held=(5,))
    with pytest.raises(UsageError, match="pairs 1 to learn from and 0 of held-out pictures: expected 20 or more"):
        label_pairs(plan, [Pair("a", "b"), Pair("a", "nobody")], {})


def test_pictures_that_no_pair_names_are_not_read(tmp_path: Path):
    source = Shapes(40)
    with pytest.raises(UsageError, match="pictures 2: expected 20 or more"):
        train_taste(source, Preferences([Pair(*source.ids[:2])]), tmp_path / "run", options("small-cnn"), silent)
    assert not source.asked
