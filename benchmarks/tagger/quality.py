"""How well tags are learned from real pictures: one online pass against a tuned offline logistic regression.

Nothing of the test side is used before the end. One split of two thousand pictures is noisy, so all of this is done on
several and reported as means, with the ratios of each split and their standard deviation. XGBoost is measured on the
first split.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from benchmarks.tagger.offline import offline_logistic, xgboost_map, xgboost_tags
from benchmarks.tagger.peers import Peer, running
from models.evaluate import expected_calibration_error, macro_average_precision, ranking_figures
from models.judging.probes import learn
from models.judging.splits import Split


def run(cuts: Sequence[Split], without: Collection[Peer] = ()) -> dict[str, Any]:
    """The `quality` part of the report: means over splits; what the offline peer was tuned to is the first split's.

    Raises:
        ConfigurationError: XGBoost cannot run.
    """
    online, offline, scores = zip(*map(_measure, cuts), strict=True)
    both = list(zip(online, offline, strict=True))
    ratios = {f"{name}_over_offline": [ours[name] / theirs[name] for ours, theirs in both] for name in ("lrap", "map")}
    report: dict[str, Any] = {
        "images": round(float(np.mean([len(data.train) + len(data.test) for data in cuts]))),
        "tags": round(float(np.mean([len(data.names) for data in cuts]))),
        "online": _means(online),
        "offline_logistic": offline[0] | _means(offline),
        **_beside_xgboost(cuts[0], scores[0], Peer.XGBOOST not in without),
    }
    for name, values in ratios.items():
        report[name] = float(np.mean(values))
        report[f"{name}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    rows = zip(cuts, *ratios.values(), strict=True)
    report["splits"] = [{"seed": data.seed} | dict(zip(ratios, values, strict=True)) for data, *values in rows]
    return report


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Over the splits, of what is a number."""
    numbers = [name for name, value in rows[0].items() if isinstance(value, float)]
    return {name: float(np.mean([row[name] for row in rows])) for name in numbers}


def _beside_xgboost(data: Split, ours: np.ndarray, measure: bool) -> dict[str, Any]:
    tags = xgboost_tags(data)
    ours_map = macro_average_precision(data.test_truth[:, tags], ours[:, tags])
    figures: dict[str, Any] = {"map": None, "tags": 0}
    if measure:
        with running(Peer.XGBOOST):
            figures = {"map": xgboost_map(data, tags), "tags": len(tags)}
    return {"xgboost": figures, "online_map_on_xgboost_tags": None if np.isnan(ours_map) else ours_map}


def _measure(data: Split) -> tuple[dict[str, float], dict[str, Any], np.ndarray]:
    """Our figures for one split, those of the offline peer, and our probabilities [N, T]."""
    predictor = learn(data).predictor()
    ours = predictor.probabilities(data.test)[:, [predictor.catalogue.row(name) for name in data.names]]
    online = {**ranking_figures(data.test_truth, ours), "ece": expected_calibration_error(data.test_truth, ours)}
    return online, offline_logistic(data), ours
