"""The learner's state as JSON facts and arrays, and back: what the store writes beside images and tables of tags."""

import hashlib
import json
from typing import Any

import numpy as np

from models.errors import CheckpointError
from models.tagging.calibration.classifiers import state_of
from models.tagging.calibration.histograms import BINS
from models.tagging.calibration.schedule import Schedule
from models.tagging.evidence.co_occurrence import CoOccurrence
from models.tagging.memory.chunks import Array
from models.tagging.tag_tables import TABLES
from models.tagging.tagger import Tagger

SETTINGS = ("dimension", "ridge_lambda", "neighbours", "max_exemplars", "classifier")


def dump(tagger: Tagger) -> tuple[dict[str, Any], dict[str, Array]]:
    """What belongs to no single tag, image or operation."""
    sums, evaluator = tagger.statistics.sums, tagger.evaluator
    facts = {
        "settings": {name: getattr(tagger, name) for name in SETTINGS},
        "learned": tagger.learned,
        "next_position": tagger.next_position,
        "pending": tagger.pending,
        "block": [tagger.schedule.begin, tagger.schedule.began_ms],
        "images": sums.images,
        "fitted_at": evaluator.fitted_at,
        "evaluated": tagger.metrics.totals,
    }
    arrays = {
        "gram": sums.gram,
        "total": sums.total,
        "metric": evaluator.metric,
        "lowest_bins": tagger.metrics.histograms[:, :, 0],
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
    sums, evaluator = tagger.statistics.sums, tagger.evaluator
    tagger.learned, tagger.next_position = facts["learned"], facts["next_position"]
    tagger.pending = list(facts["pending"])
    tagger.schedule = Schedule(*facts["block"])
    sums.images, sums.gram, sums.total = facts["images"], arrays["gram"], arrays["total"]
    evaluator.metric, evaluator.fitted_at = arrays["metric"], facts["fitted_at"]
    evaluator.co_occurrence = CoOccurrence(*(arrays[f"co_occurrence_{name}"] for name in CoOccurrence.__slots__))
    histograms = np.zeros((len(arrays["lowest_bins"]), 3, BINS))
    histograms[:, :, 0] = arrays["lowest_bins"]
    tagger.metrics.restore(tuple(facts["evaluated"]), histograms)
    tagger.calibrators.restore_shared(arrays["shared_calibrator"].tolist())


def digest(tagger: Tagger) -> str:
    """SHA-256 over the whole state, images included: equal when, and only when, every bit of it is."""
    facts, arrays = dump(tagger)
    facts["operations"] = tagger.operations.dump()
    result = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for array in arrays.values():
        result.update(np.ascontiguousarray(array).tobytes())
    for table in TABLES:
        for row in table.all(tagger):
            result.update(repr(row).encode())
    for image in sorted(tagger.statistics.memory.scan(), key=lambda image: (image.hash, image.image_id)):
        known = (image.image_id, image.vector, image.tags, image.complete, image.labelled, image.cold)
        result.update(repr(known).encode())
    for name, (count, of_tag) in sorted(tagger.cold_tags.sums().items()):
        result.update(f"{name} {count} ".encode() + of_tag.tobytes())
    return result.hexdigest()


def exact_digest(tagger: Tagger) -> str:
    """SHA-256 over the sums alone, by tag name: the same in whatever order and by whatever shards they came."""
    sums, words = tagger.statistics.sums, tagger.statistics.vocabulary
    result = hashlib.sha256(sums.gram.tobytes() + sums.total.tobytes() + str(sums.images).encode())
    of_tags = {words.names[row]: (int(sums.counts[row]), sums.tags[row]) for row in np.flatnonzero(sums.counts)}
    of_tags |= {name: cold for name, cold in tagger.cold_tags.sums().items() if cold[0]}
    for name in sorted(of_tags):
        result.update(f"{name} {of_tags[name][0]} ".encode() + of_tags[name][1].tobytes())
    exemplars = tagger.statistics.exemplars.freeze()
    result.update(np.sort(exemplars.hashes.whole()).tobytes())
    return result.hexdigest()
