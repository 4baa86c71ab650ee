"""N1e: a projection fitted on pictures unlike OpenMoji beside the shipped one, on others of them.

In: photographs and drawings from packages, see unlike.py. Out: precision by shared tag, and pair accuracy of the
ranker after clicks of people who like and dislike what is in a picture. Half of the pictures fit, the others judge.
"""

import time
from typing import Any

import numpy as np

from benchmarks.encoders.unlike import load_unlike
from models.encoders.base import Vectors
from models.encoders.load import load_encoder
from models.encoders.projection import DIMENSION, fit_projection
from models.encoders.raw_features import unpack
from models.encoders.registry.folders import DEFAULT, EncoderFolders
from models.judging.precision import neighbours, precision_by_tag
from models.judging.probes import by_taste

PEOPLE = 5
K = 5


def run() -> dict[str, Any]:
    """Figures of both projections on the same pictures."""
    encoder, parts = load_encoder("onnx"), EncoderFolders().manifest(DEFAULT).parts
    raw, tags = load_unlike().measured(lambda pixels, _: encoder.encode(pixels), note="unlike OpenMoji")
    order = np.random.default_rng(0).permutation(len(raw))
    fitting, judging = order[::2], np.sort(order[1::2])
    started_s = time.perf_counter()
    projection = fit_projection(unpack(raw[fitting], parts), parts, DIMENSION)
    figures: dict[str, Any] = {"pictures": len(fitting), "seconds": round(time.perf_counter() - started_s, 1)}
    judged_tags = [tags[row] for row in judging]
    people = [_tastes(judged_tags, seed) for seed in range(PEOPLE)]
    vectors = {"shipped": encoder.project(raw[judging]), "fitted": projection.apply(unpack(raw[judging], parts))}
    for name, of_one in vectors.items():
        figures[f"p_at_5_{name}"] = precision_by_tag(neighbours(of_one, K), judged_tags)
        figures[f"pair_accuracy_{name}"] = float(np.mean(
            [by_taste(of_one, taste, seed) for seed, taste in enumerate(people)]
        ))  # fmt: skip
    return figures | {"judged": len(judging)}


def _tastes(tags: list[tuple[str, ...]], seed: int) -> Vectors:
    """How much one person likes each picture: the mean of a liking for each word, which is drawn."""
    words = sorted({tag for of_one in tags for tag in of_one})
    liking = dict(zip(words, np.random.default_rng(seed).standard_normal(len(words)), strict=True))
    return np.array([np.mean([liking[tag] for tag in of_one]) for of_one in tags], np.float32)
