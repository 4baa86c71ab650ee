"""How well tags are learned from real pictures: one online pass against a tuned offline logistic regression.

Nothing of the test side is used before the end. One split of two thousand pictures is noisy, so all of this is done on
several and reported as means, with the ratios of each split and their standard deviation. XGBoost is measured on the
first split.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from benchmarks.tagger.offline import RANKS, offline_logistic, ranks, xgboost_map, xgboost_tags
from benchmarks.tagger.peers import Peer, running
from benchmarks.tagger.splits import Split
from models.evaluate import expected_calibration_error, macro_average_precision
from models.quantise import quantise
from models.tagging.examples import Example
from models.tagging.tagger import Tagger


def run(cuts: Sequence[Split], without: Collection[Peer] = ()) -> dict[str, Any]:
    """The `quality` part of the report: means over splits; what the offline peer was tuned to is the first split's.

    Raises:
        ConfigurationError: XGBoost cannot run.
    """
    measured = [_measure(data) for data in cuts]
    first = measured[0]
    ratios = {name: [figures[name] for figures in measured] for name in ("lrap_over_offline", "map_over_offline")}
    report: dict[str, Any] = {
        "images": round(_mean(measured, "images")),
        "tags": round(_mean(measured, "tags")),
        "online": {name: _mean([figures["online"] for figures in measured], name) for name in first["online"]},
        "offline_logistic": first["offline_logistic"]
        | {name: _mean([figures["offline_logistic"] for figures in measured], name) for name in RANKS},
        **_beside_xgboost(cuts[0], first["scores"], Peer.XGBOOST not in without),
    }
    for name, values in ratios.items():
        report[name] = float(np.mean(values))
        report[f"{name}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    rows = zip(cuts, *ratios.values(), strict=True)
    report["splits"] = [{"seed": data.seed} | dict(zip(ratios, values, strict=True)) for data, *values in rows]
    return report


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def _beside_xgboost(data: Split, ours: np.ndarray, measure: bool) -> dict[str, Any]:
    tags = xgboost_tags(data)
    ours_map = macro_average_precision(data.test_truth[:, tags], ours[:, tags])
    figures: dict[str, Any] = {"map": None, "tags": 0}
    if measure:
        with running(Peer.XGBOOST):
            figures = {"map": xgboost_map(data, tags), "tags": len(tags)}
    return {"xgboost": figures, "online_map_on_xgboost_tags": None if np.isnan(ours_map) else ours_map}


def _measure(data: Split) -> dict[str, Any]:
    """The figures of one split."""
    predictor = learn(data).predictor()
    ours = predictor.probabilities(data.test)[:, [predictor.catalogue.row(name) for name in data.names]]
    online = {**ranks(data.test_truth, ours), "ece": expected_calibration_error(data.test_truth, ours)}
    offline = offline_logistic(data)
    return {
        "images": len(data.train) + len(data.test),
        "tags": len(data.names),
        "online": online,
        "offline_logistic": offline,
        "lrap_over_offline": online["lrap"] / offline["lrap"],
        "map_over_offline": online["map"] / offline["map"],
        "scores": ours,
    }


def learn(data: Split) -> Tagger:
    """A tagger after one pass over the training side."""
    tagger = Tagger(dimension=data.train.shape[1])
    quantised = quantise(data.train)
    tagger.learn_many([Example(f"train-{i}", vector, data.tags_of(i)) for i, vector in enumerate(quantised)], 0)
    return tagger
