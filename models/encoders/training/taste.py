"""Trains a network that orders pictures by somebody's taste: RankNet through a convolutional network.

In: pictures, and pairs of them. Out: a network that gives features and a score; whichever candidate orders held-out
pairs best. Raises UsageError (too few pictures or pairs, numbers that are not finite), StorageUnavailableError.

Each picture goes through the network once a batch, however many pairs of the batch name it.

Source: Burges et al., Learning to Rank using Gradient Descent, ICML 2005.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.encoders.base import Images
from models.encoders.networks.body import FEATURES, HeadedBody, WholeBody
from models.encoders.networks.build import SMALL_CNN, TASTE
from models.encoders.networks.heads import ScoreHead
from models.encoders.networks.small_cnn import FEATURES as SMALL_FEATURES
from models.encoders.networks.small_cnn import SIZE_PX, SmallCnn
from models.encoders.training.body import PARTS, Body, check_room
from models.encoders.training.data.pictures import (
    Part,
    Pictures,
    Plan,
    Recording,
    Report,
    Sample,
    check_count,
    fingerprint,
    keep_rows,
)
from models.encoders.training.data.preferences import label_pairs, split_pairs
from models.encoders.training.data.rows import RowFile
from models.encoders.training.loop import Course, Recipe, device_of, train
from models.encoders.training.result import Trained
from models.encoders.training.taste_task import Order, TasteTask
from models.preprocess import Cut, fit_square
from models.ranking.pairs import Pair

Network = Literal["body", "small-cnn"]
BODY_RATE = 0.1  # of the head's rate
HELD_OUT = 0.15  # of the pictures: a quarter of the pairs has one of them
AT_ONCE = 128


@dataclass(frozen=True)
class TasteOptions:
    """What to train: the small network from nothing, or a head on the frozen body and then its last blocks.

    `cut` says what the source gives: whole pictures, or faces that were cut out of them.
    """

    network: Network = "body"
    cut: Cut = ""
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=20, batch=256, weight_decay=0.1, patience=6))
    body: Recipe = field(default_factory=lambda: Recipe(epochs=6, batch=256, rate=1e-4, weight_decay=0.05, patience=3))
    device: str = "auto"
    held_out: float = HELD_OUT
    threads: int | None = None


@dataclass(frozen=True, eq=False)
class TrainedTaste:
    """What came of it.

    Attributes:
        network: pictures -> features and a score: the best candidate.
        candidates: all of them by name: `small-cnn`, or `frozen` and `finetuned`.
        orders: how well each orders what is held out.
        trained: for its manifest.
        courses: losses of each.
        watched: held-out pairs as ids, for a comparison with another network.
    """

    network: nn.Module
    candidates: Mapping[str, nn.Module]
    orders: Mapping[str, Order]
    trained: Trained
    courses: Mapping[str, Course]
    watched: Sequence[Pair]


def train_taste(
    source: Pictures, preferences: "Preferences", folder: Path, options: TasteOptions, report: Report
) -> TrainedTaste:
    """Train, or go on with what was stopped in this folder of the run.

    Args:
        source: of pictures; those that no pair names are left out.
        preferences: pairs, and ratings where there are any.
        folder: for what the run keeps; nothing of it is needed afterwards.
        options: see there.
        report: told of progress.

    Raises:
        UsageError, StorageUnavailableError, CheckpointError: see the module and loop.
    """
    named = _Named(source, preferences)
    check_count(len(named.ids))
    device = device_of(options.device)
    asked = {name: value for name, value in asdict(options).items() if name not in ("device", "threads")}
    run = fingerprint(kind=TASTE, **asked)
    body = None
    if options.network == "body":
        check_room(folder, len(named.ids))
        body = Body(folder, device, options.threads)
    recording = Recording(
        _SMALL if body is None else PARTS,
        _small if body is None else body.compute,
        lambda plan: label_pairs(plan, preferences.pairs, preferences.gains),
    )
    plan, kept = keep_rows(named, folder, Sample(run, options.recipe.seed, options.held_out), recording, report)
    parts = _Training(plan, kept, folder, run, report)
    with torch.random.fork_rng():
        torch.manual_seed(options.recipe.seed)
        if body is None:
            found, orders, courses = parts.small(options, device)
        else:
            found, orders, courses = parts.on_body(body, options)
    best = max(orders, key=lambda name: (orders[name].accuracy, name == "frozen"))
    trained = _facts(options, plan, orders, best, courses)
    watched = [Pair(plan.ids[one], plan.ids[other]) for one, other in split_pairs(plan)[1].rows]
    return TrainedTaste(found[best], found, orders, trained, courses, watched)


@dataclass(frozen=True)
class Preferences:
    """Pairs, and how good pictures are, higher is better, as far as somebody rated them."""

    pairs: Sequence[Pair]
    gains: Mapping[str, float] = field(default_factory=dict)


class _Named:
    """The pictures of a source that a pair names."""

    def __init__(self, source: Pictures, preferences: Preferences) -> None:
        named = {name for pair in preferences.pairs for name in (pair.preferred, pair.over)}
        self.ids = [name for name in source.ids if name in named]
        self.looks, self.position, self.load = source.looks, source.position, source.load


_Found = tuple[dict[str, nn.Module], dict[str, Order], dict[str, Course]]
_SMALL = (Part("pictures", (SIZE_PX, SIZE_PX, 3), np.uint8),)


def _small(images: Images) -> list[NDArray[Any]]:
    return [np.stack([fit_square(image, SIZE_PX) for image in images])]


@dataclass(frozen=True)
class _Training:
    """What both ways have in common."""

    plan: Plan
    kept: Sequence[RowFile]
    folder: Path
    run: str
    report: Report

    def small(self, options: TasteOptions, device: torch.device) -> _Found:
        task = TasteTask(SmallCnn().to(device), self.plan, self.kept)
        course = self.train(task, options.recipe, "small")
        order = task.order(task.module)  # before the module leaves its device
        return {SMALL_CNN: task.module.cpu()}, {SMALL_CNN: order}, {SMALL_CNN: course}

    def on_body(self, body: Body, options: TasteOptions) -> _Found:
        features = RowFile(self.folder / "features.rows", (FEATURES,), np.float32)
        for start in range(len(features), len(self.plan.ids), AT_ONCE):
            features.append(body.features(self.kept, range(start, min(start + AT_ONCE, len(self.plan.ids)))))
        head = ScoreHead(FEATURES).to(body.device)
        first = TasteTask(head, self.plan, [features])
        courses = {"frozen": self.train(first, options.recipe, "head")}
        frozen = HeadedBody(copy.deepcopy(body.last), copy.deepcopy(head)).to(body.device)
        second = TasteTask(HeadedBody(body.last, head).to(body.device).requires_grad_(True), self.plan, self.kept)
        courses["finetuned"] = self.train(second, options.body, "body")
        headed: dict[str, nn.Module] = {"frozen": frozen, "finetuned": second.module}
        orders = {name: second.order(module) for name, module in headed.items()}
        whole: dict[str, nn.Module] = {}
        for name, module in headed.items():
            assert isinstance(module, HeadedBody)
            whole[name] = WholeBody(body.frozen, module.cpu().requires_grad_(False)).eval()
        return whole, orders, courses

    def train(self, task: TasteTask, recipe: Recipe, name: str) -> Course:
        checkpoint = self.folder / f"{name}.safetensors"
        return train(task, recipe, self.report, checkpoint=checkpoint, run=self.run)


def _facts(
    options: TasteOptions, plan: Plan, orders: Mapping[str, Order], best: str, courses: Mapping[str, Course]
) -> Trained:
    small = options.network == "small-cnn"
    learned, watched = split_pairs(plan)
    return Trained(
        name=f"taste-{options.network}",
        kind=SMALL_CNN if small else TASTE,
        arguments={},
        size_px=SIZE_PX if small else 224,
        features=(("hidden", SMALL_FEATURES),) if small else (("body", FEATURES),),
        outputs=("score",),
        cut=options.cut,
        training={
            "kept": best, "orders": {name: asdict(order) for name, order in orders.items()},
            "pictures": len(plan.training), "held_out": len(plan.held_out), "pairs": len(learned),
            "held_out_pairs": len(watched), "position": plan.position, "options": asdict(options),
            "courses": {name: asdict(course) for name, course in courses.items()},
        },
    )  # fmt: skip
