"""Trains the network that says which tags a picture has: a head on the frozen body, then the body's last blocks too.

In: pictures with tags. Out: probabilities of tags and features; whichever of the two steps does better on what is held
out. Raises UsageError (too few pictures or tags, numbers that are not finite), StorageUnavailableError.

Rows are read in chunks of 15,000, 280 MB at most, whatever the number of pictures.
"""

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.encoders.networks.body import FEATURES, HeadedBody, WholeBody
from models.encoders.networks.build import TAGS
from models.encoders.networks.heads import HIDDEN, Probabilities, TagHead
from models.encoders.training.body import PARTS, Body, check_room
from models.encoders.training.data.pictures import (
    Pictures,
    Plan,
    Recording,
    Report,
    Sample,
    check_count,
    fingerprint,
    keep_rows,
)
from models.encoders.training.data.rows import RowFile
from models.encoders.training.data.split import HELD_OUT
from models.encoders.training.loop import Course, Recipe, device_of, train
from models.encoders.training.result import Trained
from models.encoders.training.tag_task import TagTask, Truth
from models.errors import UsageError

LEAST_CARRIERS = 3  # training pictures of a tag: fewer cannot be learned from
BODY_RATE = 0.1  # of the head's rate, for what was trained on a million pictures before
AT_ONCE = 128  # pictures evaluated at once


@dataclass(frozen=True)
class TagOptions:
    """What to train: at most so many tags, the head by `recipe`, then the last blocks by `body`."""

    tags: int = 5000
    asymmetric: bool = False
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=20, rate=1e-3, weight_decay=0.0))
    body: Recipe = field(default_factory=lambda: Recipe(epochs=4, rate=1e-4))
    device: str = "auto"
    held_out: float = HELD_OUT
    threads: int | None = None


@dataclass(frozen=True, eq=False)
class TrainedTags:
    """What came of it.

    Attributes:
        network: pictures -> features and probabilities: the better of the two.
        candidates: of both steps the same, `frozen` and `finetuned`.
        map: mAP of both on what is held out.
        tags: names of the probabilities.
        trained: for its manifest.
        courses: losses of both steps.
    """

    network: Probabilities
    candidates: Mapping[str, Probabilities]
    map: Mapping[str, float]
    tags: Sequence[str]
    trained: Trained
    courses: Mapping[str, Course]


def train_tags(
    source: Pictures, tags: Mapping[str, Sequence[str]], folder: Path, options: TagOptions, report: Report
) -> TrainedTags:
    """Train, or go on with what was stopped in this folder of the run.

    Args:
        source: of pictures.
        tags: of each id; a picture without any is left out, since nobody said that it has none.
        folder: for what the run keeps; nothing of it is needed afterwards.
        options: see there.
        report: told of progress.

    Raises:
        UsageError, StorageUnavailableError, CheckpointError: see the module and loop.
    """
    tagged = _Tagged(source, tags)
    check_count(len(tagged.ids))
    vocabulary((tags[name] for name in tagged.ids), options.tags)  # too few are said before hours of work
    check_room(folder, len(tagged.ids))
    device = device_of(options.device)
    body = Body(folder, device, options.threads)
    asked = {name: value for name, value in asdict(options).items() if name not in ("device", "threads")}
    run = fingerprint(kind=TAGS, **asked)
    recording = Recording(PARTS, body.compute, lambda plan: _labels(plan, tags, options.tags))
    plan, kept = keep_rows(tagged, folder, Sample(run, options.recipe.seed, options.held_out), recording, report)
    features = _frozen_features(body, plan, kept, folder, report)
    names = plan.labels["names"]
    with torch.random.fork_rng():
        torch.manual_seed(options.recipe.seed)
        head = TagHead(FEATURES, len(names))
    truth = Truth(plan)
    head.begin_at(torch.from_numpy(truth.of(plan.training).mean(axis=0)))
    first = TagTask(head.to(device), plan, [features], truth, options.asymmetric)
    courses = {"frozen": train(first, options.recipe, report, checkpoint=folder / "head.safetensors", run=run)}
    frozen = HeadedBody(copy.deepcopy(body.last), copy.deepcopy(head))
    headed = HeadedBody(body.last, head).to(device).requires_grad_(True)
    second = TagTask(headed, plan, kept, truth, options.asymmetric)
    courses["finetuned"] = train(second, options.body, report, checkpoint=folder / "body.safetensors", run=run)
    found = {"frozen": frozen.to(device), "finetuned": headed}
    figures = {name: second.mean_average_precision(module) for name, module in found.items()}
    networks = {
        name: Probabilities(WholeBody(body.frozen, module.cpu().requires_grad_(False))).eval()
        for name, module in found.items()
    }
    better = "finetuned" if figures["finetuned"] >= figures["frozen"] else "frozen"
    trained = _facts(options, plan, figures, better, courses)
    return TrainedTags(networks[better], networks, figures, names, trained, courses)


class _Tagged:
    """The pictures of a source that carry a tag."""

    def __init__(self, source: Pictures, tags: Mapping[str, Sequence[str]]) -> None:
        self.ids = [name for name in source.ids if tags.get(name)]
        self.looks, self.position, self.load = source.looks, source.position, source.load


def _labels(plan: Plan, tags: Mapping[str, Sequence[str]], most: int) -> dict[str, Any]:
    """The most frequent tags of the training pictures, and of each picture their places; raises as `vocabulary`."""
    names = vocabulary((tags[plan.ids[row]] for row in plan.training), most)
    place = {tag: number for number, tag in enumerate(names)}
    carried = [sorted({place[tag] for tag in tags[name] if tag in place}) for name in plan.ids]
    return {"names": names, "carried": carried}


def vocabulary(tags: Iterable[Sequence[str]], most: int) -> list[str]:
    """The most frequent tags, given those of each picture.

    Raises:
        UsageError: fewer than two can be learned.
    """
    counts = Counter(tag for of_one in tags for tag in set(of_one))
    known = sorted((tag for tag, count in counts.items() if count >= LEAST_CARRIERS), key=lambda t: (-counts[t], t))
    names = known[:most]
    if len(names) < 2:
        raise UsageError(
            f"tags {len(names)}: expected two or more that {LEAST_CARRIERS} training pictures carry each; tag more "
            "pictures, then train again"
        )
    return names


def _frozen_features(body: Body, plan: Plan, kept: Sequence[RowFile], folder: Path, report: Report) -> RowFile:
    """Rows of raw features of the frozen network, those that are missing computed."""
    rows = RowFile(folder / "features.rows", (FEATURES,), np.float32)
    for start in range(len(rows), len(plan.ids), AT_ONCE):
        end = min(start + AT_ONCE, len(plan.ids))
        rows.append(body.features(kept, range(start, end)))
        report("frozen features", end, len(plan.ids))
    return rows


def _facts(
    options: TagOptions, plan: Plan, figures: Mapping[str, float], better: str, courses: Mapping[str, Course]
) -> Trained:
    names = plan.labels["names"]
    return Trained(
        name=f"tags-{len(names)}",
        kind=TAGS,
        arguments={"tags": len(names)},
        size_px=224,
        features=(("hidden", HIDDEN[-1]),),
        outputs=("tags",),
        training={
            "kept": better, "map": dict(figures), "pictures": len(plan.training), "held_out": len(plan.held_out),
            "position": plan.position, "options": asdict(options),
            "courses": {name: asdict(course) for name, course in courses.items()},
        },
    )  # fmt: skip
