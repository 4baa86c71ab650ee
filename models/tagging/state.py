"""The learner's state as JSON facts and arrays, and back: what the store writes beside images and tables of tags."""

from typing import Any

import numpy as np

from models.errors import CheckpointError
from models.tagging.calibration.classifiers import state_of
from models.tagging.calibration.schedule import Schedule
from models.tagging.evidence.co_occurrence import CoOccurrence
from models.tagging.memory.chunks import Array
from models.tagging.tagger import Tagger

SETTINGS = ("dimension", "ridge_lambda", "neighbours", "max_exemplars", "classifier")


def dump(tagger: Tagger) -> tuple[dict[str, Any], dict[str, Array]]:
    """What belongs to no single tag, image or operation."""
    sums, evaluator, metrics = tagger.statistics.sums, tagger.evaluator, tagger.metrics
    facts = {
        "settings": {name: getattr(tagger, name) for name in SETTINGS},
        "learned": tagger.learned,
        "next_position": tagger.next_position,
        "pending": tagger.pending,
        "block": [tagger.schedule.begin, tagger.schedule.began_ms],
        "images": sums.images,
        "fitted_at": evaluator.fitted_at,
        "evaluated": [metrics.images, metrics.lrap_sum, metrics.p_at_5_sum],
    }
    arrays = {
        "gram": sums.gram,
        "total": sums.total,
        "metric": evaluator.metric,
        "lowest_bins": metrics.histograms[:, :, 0],
        "shared_calibrator": np.array(state_of(tagger.calibrators.shared)),
        **{f"co_occurrence_{name}": getattr(evaluator.co_occurrence, name) for name in CoOccurrence.__slots__},
    }
    return facts, arrays


def load(tagger: Tagger, facts: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Put back what `dump` gave.

    Raises:
        CheckpointError: the state was learned with other settings.
    """
    for name in SETTINGS:
        if facts["settings"][name] != getattr(tagger, name):
            raise CheckpointError(
                f"setting {name} {getattr(tagger, name)!r}: expected {facts['settings'][name]!r}, with which this "
                "state was learned; change it back, or learn anew from the log"
            )
    sums, evaluator, metrics = tagger.statistics.sums, tagger.evaluator, tagger.metrics
    tagger.learned, tagger.next_position = facts["learned"], facts["next_position"]
    tagger.pending = list(facts["pending"])
    tagger.schedule = Schedule(*facts["block"])
    sums.images, sums.gram, sums.total = facts["images"], arrays["gram"], arrays["total"]
    evaluator.metric, evaluator.fitted_at = arrays["metric"], facts["fitted_at"]
    evaluator.co_occurrence = CoOccurrence(*(arrays[f"co_occurrence_{name}"] for name in CoOccurrence.__slots__))
    metrics.images, metrics.lrap_sum, metrics.p_at_5_sum = facts["evaluated"]
    metrics.grow(len(arrays["lowest_bins"]))
    metrics.histograms[:, :, 0] = arrays["lowest_bins"]
    tagger.calibrators.restore_shared(arrays["shared_calibrator"].tolist())
