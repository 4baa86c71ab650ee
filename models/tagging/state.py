"""The learner's state as JSON facts and arrays, and back; what the store writes beside C and the images."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import CheckpointError
from models.tagging.calibration.schedule import Schedule
from models.tagging.evidence.co_occurrence import CoOccurrence
from models.tagging.memory.chunks import Array

if TYPE_CHECKING:
    from models.tagging.tagger import Tagger

SETTINGS = ("dimension", "ridge_lambda", "neighbours", "max_exemplars", "classifier")


def dump(tagger: Tagger) -> tuple[dict[str, Any], dict[str, Array]]:
    """Everything but C and the images."""
    sums, words = tagger.statistics.sums, tagger.statistics.vocabulary
    facts: dict[str, Any] = {
        "settings": {name: getattr(tagger, name) for name in SETTINGS},
        "learned": tagger.learned,
        "next_position": tagger.next_position,
        "pending": tagger.pending,
        "block": [tagger.schedule.begin, tagger.schedule.began_ms],
        "images": sums.images,
        "fitted_at": tagger.evaluator.fitted_at,
        "names": words.names,
        "first_seen": words.first_seen,
        "free": sorted(words.free),
        "detached": words.detached(),
        "mapping": [tagger.statistics.effective(row) for row in range(len(words))],
        "operations": tagger.operations.dump(),
        "evaluated": tagger.metrics.totals,
    }
    watched, losses = tagger.evaluator.drift.dump()
    arrays: dict[str, Array] = {
        "gram": sums.gram,
        "metric": tagger.evaluator.metric,
        "association_starts": tagger.evaluator.co_occurrence.starts,
        "association_tags": tagger.evaluator.co_occurrence.tags,
        "association_strengths": tagger.evaluator.co_occurrence.strengths,
        "total": sums.total,
        "histograms": tagger.metrics.histograms,
        **tagger.calibrators.dump(),
        "drift": watched,
        "drift_losses": losses,
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
    sums, words = tagger.statistics.sums, tagger.statistics.vocabulary
    tagger.learned, tagger.next_position = facts["learned"], facts["next_position"]
    tagger.evaluator.metric, tagger.evaluator.fitted_at = arrays["metric"], facts["fitted_at"]
    tagger.evaluator.co_occurrence = CoOccurrence(*(arrays[f"association_{field}"] for field in CoOccurrence.__slots__))
    tagger.schedule = Schedule(*facts["block"])
    tagger.pending = list(facts["pending"])
    words.restore(facts["names"], facts["first_seen"], facts.get("free", ()))
    for row in facts["detached"]:
        words.detach(row)
    tagger.operations.load(facts["operations"])
    sums.grow(len(words))
    tagger.statistics.restore_mapping(facts["mapping"])
    sums.images, sums.gram, sums.total = facts["images"], arrays["gram"], arrays["total"]
    tagger.metrics.restore(tuple(facts["evaluated"]), arrays["histograms"])
    tagger.calibrators.load(arrays)
    if "drift" in arrays:
        tagger.evaluator.drift.load(arrays["drift"], arrays["drift_losses"])


def digest(tagger: Tagger) -> str:
    """SHA-256 over the whole state, images included: equal when, and only when, every bit of it is."""
    facts, arrays = dump(tagger)
    result = hashlib.sha256(json.dumps(facts, ensure_ascii=False, sort_keys=True).encode())
    sums = tagger.statistics.sums
    for array in (*arrays.values(), sums.counts, sums.tags):
        result.update(np.ascontiguousarray(array).tobytes())
    for image in sorted(tagger.statistics.memory.scan(), key=lambda image: (image.hash, image.image_id)):
        known = (image.image_id, image.vector, image.tags, image.complete, image.labelled, image.parked)
        result.update(repr(known).encode())
    for name, (count, of_tag) in sorted(tagger.cold_tags.sums().items()):
        result.update(f"{name} {count} ".encode() + of_tag.tobytes())
    return result.hexdigest()


def exact_digest(tagger: Tagger) -> str:
    """SHA-256 over the sums alone, by tag name: the same in whatever order and by whatever shards they came."""
    sums, words = tagger.statistics.sums, tagger.statistics.vocabulary
    result = hashlib.sha256(sums.gram.tobytes() + sums.total.tobytes() + str(sums.images).encode())
    of_tags = {words.names[row]: (int(sums.counts[row]), sums.tags[row]) for row in np.flatnonzero(sums.counts)}
    of_tags |= {name: parked for name, parked in tagger.cold_tags.sums().items() if parked[0]}
    for name in sorted(of_tags):
        result.update(f"{name} {of_tags[name][0]} ".encode() + of_tags[name][1].tobytes())
    exemplars = tagger.statistics.exemplars.freeze()
    result.update(np.sort(exemplars.hashes.whole()).tobytes())
    return result.hexdigest()
