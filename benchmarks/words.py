"""W1: words that people type: how long completions take, and how well several tags at once find pictures.

Comes in: how many tags. Goes out: milliseconds of completions, of names that are nearly so, of the first vocabulary and
of the next one, over names made of the demo's tags and Japanese names, alone and in pairs; and on drawings that nobody
tagged the mean average precision of pairs of tags, by ways to combine their log-odds.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from admin.openmoji import Picture, load_pictures, rasterise
from models.evaluate import average_precision
from models.preprocess import fit_square
from models.quantise import dequantise, quantise
from models.tagging.examples import Example
from models.tagging.serving.catalogue import TagCatalogue
from models.tagging.serving.columns import Columns
from models.tagging.serving.snapshot import Snapshot
from models.tagging.tagger import Tagger
from search.words.suggest import suggest
from search.words.vocabulary import Vocabulary
from stream.build import build_encoder
from stream.environment import load_settings

LIMIT = 10  # completions asked for
TYPED = 500  # names that are typed, letter by letter
MISTYPED = 100
SPLITS, TEST = 3, 500
LEAST = 2  # pictures of a split with both tags of a pair
BATCH = 32


def run(tags: int) -> dict[str, Any]:
    """Time over so many tags, and quality on the demo's drawings."""
    return _times(tags) | {"average_precision_of_pairs": _quality()}


def _times(tags: int) -> dict[str, Any]:
    rng = np.random.default_rng(19)
    names = _names(tags, rng)
    images = (3_000 / (1 + rng.permutation(tags))).astype(np.int64) + 1  # few are used often
    first_ms, vocabulary = _timed(lambda: Vocabulary(_catalogue(names, images)))
    same_ms, _ = _timed(lambda: Vocabulary(_catalogue(names, images), vocabulary))
    more = [*names[1:], "of a minute ago"]
    next_ms, _ = _timed(lambda: Vocabulary(_catalogue(more, images), vocabulary))
    typed = [names[number] for number in rng.integers(tags, size=TYPED)]
    lines = [name[: end + 1] for name in typed for end in range(min(len(name), 6))]
    wrong = [name[:2] + name[3:2:-1] + name[4:] for name in typed[:MISTYPED]]
    vocabulary.nearest("warm")
    return {
        "tags": tags,
        "first_vocabulary_ms": first_ms,
        "same_names_in_a_new_version_ms": same_ms,
        "one_new_name_ms": next_ms,
        "suggest_ms": _spread(lambda line: suggest(line, vocabulary, LIMIT), lines),
        "nearest_ms": _spread(vocabulary.nearest, wrong),
    }


def _names(tags: int, rng: np.random.Generator) -> list[str]:
    """Tags and Japanese names of drawings, then pairs of them."""
    pictures = load_pictures()
    words = list(dict.fromkeys([*(tag for one in pictures for tag in one.tags), *(one.japanese for one in pictures)]))
    names = dict.fromkeys(words[:tags])
    while len(names) < tags:
        first, second = rng.integers(len(words), size=2)
        names[f"{words[first]} {words[second]}"[:60].strip()] = None
    return list(names)


def _catalogue(names: Sequence[str], images: npt.NDArray[np.int64]) -> TagCatalogue:
    size, empty = len(names), Columns.empty()
    columns = replace(empty, hidden=np.zeros(size, bool), carried=images, counts=images)
    return TagCatalogue(replace(Snapshot.empty(4), names=tuple(names), columns=columns))


def _timed(work: Callable[[], Vocabulary]) -> tuple[float, Vocabulary]:
    started_s = time.perf_counter()
    made = work()
    return round((time.perf_counter() - started_s) * 1000, 2), made


def _spread(work: Callable[[str], object], texts: Iterable[str]) -> dict[str, float]:
    took_ms = []
    for text in texts:
        started_s = time.perf_counter()
        work(text)
        took_ms.append((time.perf_counter() - started_s) * 1000)
    p50, p95 = np.percentile(took_ms, [50, 95])
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3), "max": round(max(took_ms), 3)}


def _quality() -> dict[str, Any]:
    """Mean average precision of pairs of tags on drawings that were not learned."""
    pictures = load_pictures()
    vectors = quantise(_embedded(pictures))
    found: dict[str, list[float]] = {}
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(len(pictures))
        test, train = order[:TEST], order[TEST:]
        tagger = Tagger(dimension=vectors.shape[1])
        tagger.learn_many([Example(pictures[n].image_id, vectors[n], pictures[n].tags) for n in train], 0)
        predictor = tagger.predictor()
        log_odds = predictor.log_odds(dequantise(vectors[test]))
        has = {
            tag: np.array([tag in pictures[n].tags for n in test])
            for tag in {t for n in test for t in pictures[n].tags}
        }
        for one, other in _pairs([pictures[n].tags for n in test], predictor.catalogue):
            first, second = (log_odds[:, predictor.catalogue.row(tag)] for tag in (one, other))
            ways = {
                "probabilities_multiplied": -np.logaddexp(0, -first) - np.logaddexp(0, -second),
                "log_odds_added": first + second,
                "the_first_alone": first,
            }
            for name, scores in ways.items():
                found.setdefault(name, []).append(average_precision(has[one] & has[other], scores))
    means = {name: round(float(np.mean(values)), 3) for name, values in found.items()}
    return {"pairs": len(found["log_odds_added"])} | means


def _pairs(tags: Sequence[Sequence[str]], catalogue: TagCatalogue) -> list[tuple[str, str]]:
    """Pairs of known tags that some pictures have, neither of which says the other."""
    alone = Counter(tag for of_one in tags for tag in set(of_one))
    together = Counter(pair for of_one in tags for pair in itertools.combinations(sorted(set(of_one)), 2))
    return [
        pair for pair, count in together.items()
        if LEAST <= count < min(alone[tag] for tag in pair) and all(catalogue.find(tag) is not None for tag in pair)
    ]  # fmt: skip


def _embedded(pictures: Sequence[Picture]) -> npt.NDArray[np.float32]:
    encoder = build_encoder(load_settings({}))
    parts = []
    for start in range(0, len(pictures), BATCH):
        data = [np.frombuffer(rasterise(one), np.uint8) for one in pictures[start : start + BATCH]]
        pixels = [np.asarray(cv2.imdecode(one, cv2.IMREAD_COLOR_RGB), np.uint8) for one in data]
        parts.append(encoder.embed(np.stack([fit_square(one) for one in pixels])))
    return np.concatenate(parts)
