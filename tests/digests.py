"""What is compared where two learners must be equal to the bit: hashes over their state."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain

import numpy as np

from models.tagging.memory.images import ImageState
from models.tagging.state import dump
from models.tagging.tag_tables import TABLES
from models.tagging.tagger import Tagger
from tests.tagged_images import whole


def all_images(tagger: Tagger) -> Iterator[ImageState]:
    """Every image that a learner remembers, in no order that matters."""
    return chain.from_iterable(tagger.statistics.memory.batches())


def digest(tagger: Tagger) -> str:
    """SHA-256 over the whole state, images included: equal when, and only when, every bit of it is."""
    facts, arrays = dump(tagger)
    facts["operations"] = [asdict(operation) for operation in tagger.operations.by_id.values()]
    result = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for array in arrays.values():
        result.update(np.ascontiguousarray(array).tobytes())
    for table in TABLES:
        for row in table.dump(tagger, range(-(-len(tagger.statistics.vocabulary) // table.together))):
            result.update(repr(row).encode())
    for image in sorted(all_images(tagger), key=lambda image: (image.hash, image.image_id)):
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
    result.update(np.sort(whole(exemplars.hashes)).tobytes())
    return result.hexdigest()
