"""The tag learner with NumPy and with torch on the device, on the same stream: learning, solving, predicting."""

from collections.abc import Iterator
from typing import Any

from benchmarks.tagger.speed import learn_rate, serving_figures
from benchmarks.workloads import BATCH, DIMENSION, TAGS, TagStream
from models.tagging.evidence.backend import BackendName
from models.tagging.tagger import Tagger
from stream.process import tune_process

SIZES = {"cuda": (TAGS, 4 * BATCH, 4 * BATCH), "cpu": (200, 1024, 1024)}  # tags, images before, images measured


def run(device: str) -> Iterator[tuple[str, Any]]:
    """Figures of both by name, then torch's over NumPy's; above 1 is better for rates, below 1 for times."""
    tags, before, measured = SIZES[device]
    yield "tags", tags
    found: dict[str, dict[str, float]] = {}
    backends: tuple[BackendName, ...] = ("numpy", "torch")
    for backend in backends:
        stream = TagStream(tags)
        tagger = Tagger(dimension=DIMENSION, backend=backend)
        tune_process()
        learn_rate(tagger, stream, before)
        found[backend] = {"learned_images_per_second": learn_rate(tagger, stream, measured)}
        yield f"{backend}_learned_images_per_second", found[backend]["learned_images_per_second"]
        found[backend] |= serving_figures(tagger, stream)
        for name, value in found[backend].items():
            yield f"{backend}_{name}", value
    for name, value in found["torch"].items():
        yield f"torch_over_numpy_{name}", value / found["numpy"][name]
