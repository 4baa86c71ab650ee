"""How well tags are learned from real pictures: one online pass against a tuned offline logistic regression.

Split by picture; tags with five training pictures or more; the projection is fitted on the training side; nothing of
the test side is used before the end. The offline peer sees the same vectors as often as it likes; its l2 and epochs are
chosen on a validation split by picture, for LRAP and mAP each, and it is then refitted on the whole training side.

One split of two thousand pictures is noisy, so all of this is done on several and reported as means, with the ratios
of each split and their standard deviation. XGBoost and few-shot learning take long and are measured on the first split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.errors import UsageError
from models.evaluate import (
    average_precision,
    expected_calibration_error,
    label_ranking_average_precision,
    macro_average_precision,
    precision_at,
)
from models.quantise import quantise
from models.tagging.examples import Example
from models.tagging.tagger import Tagger

TEST_SHARE = 1 / 3
LEAST_PICTURES = 5
L2 = (1e-5, 3e-5, 1e-4, 3e-4)
EPOCHS = (25, 50, 100, 200)
XGBOOST_TAGS = 40
SPLITS = 5
FIRST_SEED = 20
FEW = (1, 2, 5, 10, 20)
RANKS = ("lrap", "map", "p_at_5")

Project = Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]


@dataclass
class Split:
    """Unit vectors [N, D], truth [N, T] and names, training and test side; the seed says how they were cut."""

    seed: int
    names: list[str]
    train: np.ndarray
    train_truth: np.ndarray
    test: np.ndarray
    test_truth: np.ndarray


def splits(features: np.ndarray, tags: Sequence[Sequence[str]], project: Project, count: int = SPLITS) -> list[Split]:
    """As `split`, for the seeds 20, 21, ..."""
    return [split(features, tags, project, FIRST_SEED + number) for number in range(count)]


def split(features: np.ndarray, tags: Sequence[Sequence[str]], project: Project, seed: int = FIRST_SEED) -> Split:
    """Cut by picture; `project` fits on the training features and returns what makes vectors of features.

    Raises:
        UsageError: no tag is on five training pictures and a test picture.
    """
    order = np.random.default_rng(seed).permutation(len(features))
    held = int(len(order) * TEST_SHARE)
    test, train = np.sort(order[:held]), np.sort(order[held:])
    often = Counter(tag for i in train for tag in set(tags[i]))
    names = sorted(tag for tag, count in often.items() if count >= LEAST_PICTURES)
    column = {tag: index for index, tag in enumerate(names)}
    truth = np.zeros((len(features), len(names)), np.bool_)
    for i, of_picture in enumerate(tags):
        truth[i, [column[tag] for tag in of_picture if tag in column]] = True
    if not truth[test].any():
        raise UsageError(
            f"tags of {len(features)} pictures: expected one that is on {LEAST_PICTURES} training pictures and on a "
            "test picture; add pictures that share tags"
        )
    apply = project(features[train])
    train, test = train[truth[train].any(axis=1)], test[truth[test].any(axis=1)]
    return Split(seed, names, apply(features[train]), truth[train], apply(features[test]), truth[test])


def run_quality(cuts: Sequence[Split], xgboost: bool = True) -> dict[str, Any]:
    """The `quality` part of the report: means over splits; what the offline peer was tuned to is the first split's."""
    measured = [_measure(data) for data in cuts]
    first = measured[0]
    ratios = {name: [figures[name] for figures in measured] for name in ("lrap_over_offline", "map_over_offline")}
    report: dict[str, Any] = {
        "images": round(_mean(measured, "images")),
        "tags": round(_mean(measured, "tags")),
        "online": {name: _mean([figures["online"] for figures in measured], name) for name in first["online"]},
        "offline_logistic": first["offline_logistic"]
        | {name: _mean([figures["offline_logistic"] for figures in measured], name) for name in RANKS},
        **_beside_xgboost(cuts[0], first["scores"], xgboost),
    }
    for name, values in ratios.items():
        report[name] = float(np.mean(values))
        report[f"{name}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    rows = zip(cuts, *ratios.values(), strict=True)
    report["splits"] = [{"seed": data.seed} | dict(zip(ratios, values, strict=True)) for data, *values in rows]
    return report


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def _measure(data: Split) -> dict[str, Any]:
    """The figures of one split."""
    predictor = _learn(data).predictor()
    ours = predictor.probabilities(data.test)[:, [predictor.catalogue.row(name) for name in data.names]]
    online = {**_ranks(data.test_truth, ours), "ece": expected_calibration_error(data.test_truth, ours)}
    offline = _offline_logistic(data)
    return {
        "images": len(data.train) + len(data.test),
        "tags": len(data.names),
        "online": online,
        "offline_logistic": offline,
        "lrap_over_offline": online["lrap"] / offline["lrap"],
        "map_over_offline": online["map"] / offline["map"],
        "scores": ours,
    }


def _beside_xgboost(data: Split, ours: np.ndarray, measure: bool) -> dict[str, Any]:
    sample = np.random.default_rng(1).permutation(len(data.names))[:XGBOOST_TAGS]
    ours_map = macro_average_precision(data.test_truth[:, sample], ours[:, sample])
    return {
        "xgboost": _xgboost(data, sample) if measure else {"map": None, "tags": 0},
        "online_map_on_xgboost_tags": None if np.isnan(ours_map) else ours_map,
    }


def _learn(data: Split) -> Tagger:
    codes = quantise(data.train)
    tagger = Tagger(dimension=data.train.shape[1])
    log = [
        Example(f"train-{i}", codes[i], tuple(data.names[tag] for tag in np.flatnonzero(row)))
        for i, row in enumerate(data.train_truth)
    ]
    tagger.learn_many(log, 0)
    return tagger


def _ranks(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    return {
        "lrap": label_ranking_average_precision(truth, scores),
        "map": macro_average_precision(truth, scores),
        "p_at_5": precision_at(truth, scores, 5),
    }


def _offline_logistic(data: Split) -> dict[str, Any]:
    held = np.random.default_rng(2).permutation(len(data.train)) < len(data.train) // 5
    fit, check = (data.train[~held], data.train_truth[~held]), (data.train[held], data.train_truth[held])
    tried = {
        (l2, epochs): _ranks(check[1], scores)
        for l2 in L2
        for epochs, scores in _logistic(*fit, check[0], l2, EPOCHS).items()
    }
    result: dict[str, Any] = {}
    for figure in RANKS:
        l2, epochs = max(tried, key=lambda setting: tried[setting][figure])
        scores = _logistic(data.train, data.train_truth, data.test, l2, (epochs,))[epochs]
        result[figure] = _ranks(data.test_truth, scores)[figure]
        result[f"{figure}_chosen"] = {"l2": l2, "epochs": epochs}
    return result


def _logistic(
    vectors: np.ndarray, truth: np.ndarray, queries: np.ndarray, l2: float, epochs: Sequence[int]
) -> dict[int, np.ndarray]:
    """Log-odds of the queries after each number of full passes with Adam."""
    import torch

    x, y, q = torch.from_numpy(vectors), torch.from_numpy(truth.astype(np.float32)), torch.from_numpy(queries)
    weights = torch.zeros((x.shape[1], y.shape[1]), requires_grad=True)
    bias = torch.full((y.shape[1],), -5.0, requires_grad=True)
    optimizer = torch.optim.Adam([weights, bias], lr=0.1)
    result = {}
    for epoch in range(1, max(epochs) + 1):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x @ weights + bias, y, reduction="sum") / len(x)
        optimizer.zero_grad()
        torch.autograd.backward(loss + l2 * (weights**2).sum())
        optimizer.step()
        if epoch in epochs:
            result[epoch] = (q @ weights + bias).detach().numpy()
    return result


def _xgboost(data: Split, sample: np.ndarray) -> dict[str, float | int | None]:
    try:
        from xgboost import XGBClassifier
    except ImportError:
        return {"map": None, "tags": 0}
    figures = []
    for tag in sample:
        model = XGBClassifier(n_estimators=100, max_depth=4, tree_method="hist", n_jobs=2)
        model.fit(data.train, data.train_truth[:, tag])
        chances = model.predict_proba(data.test)[:, 1]
        figures.append(average_precision(data.test_truth[:, tag], chances))
    return {"map": float(np.nanmean(figures)), "tags": len(sample)}


def run_few_shot(data: Split) -> dict[str, Any]:
    """Average precision of tags with many pictures, as if the learner had met only the first n of them.

    The pictures beyond are taken out of the learner and put back, exactly; no other tag is touched otherwise. Figures
    are null where no tag has more than 20 training pictures.
    """
    tagger = _learn(data)
    codes = quantise(data.train)
    often = np.flatnonzero((data.train_truth.sum(axis=0) > max(FEW)) & data.test_truth.any(axis=0))
    figures: dict[int, list[float]] = {count: [] for count in (*FEW, 0)}
    for tag in often:
        pictures = np.flatnonzero(data.train_truth[:, tag])
        for count in (*FEW, 0):
            beyond = pictures[count:] if count else pictures[:0]
            _put(tagger, [Example(f"train-{i}", deleted=True) for i in beyond])
            scores = tagger.predictor().score(data.names[tag], data.test)
            figures[count].append(average_precision(data.test_truth[:, tag], scores))
            back = [tuple(data.names[t] for t in np.flatnonzero(data.train_truth[i])) for i in beyond]
            _put(tagger, [Example(f"train-{i}", codes[i], tags) for i, tags in zip(beyond, back, strict=True)])
    ap = {count: float(np.mean(values)) if values else None for count, values in figures.items()}
    ten, every = ap[10], ap[0]
    return {
        "tags": len(often),
        "positives": {str(count): ap[count] for count in FEW},
        "all": every,
        "ten_over_all": ten / every if ten is not None and every else None,
    }


def _put(tagger: Tagger, examples: list[Example]) -> None:
    tagger.statistics.apply(examples, tagger.next_position)  # calibrators stay as the pass left them
    tagger.learned += len(examples)
    tagger.evaluator.fit(tagger.learned)  # metric and co_occurrence must not remember what was taken out
