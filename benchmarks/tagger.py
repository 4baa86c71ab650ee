"""`mekiki bench tagger`: speed, quality and few-shot learning of the tag learner, beside what one could pick instead.

Speed: `benchmarks.workloads.TagStream`, a store on disk, one thread of Python. `ours_images_per_second` is the steady
state after 57,344 images, checkpoint included, with the sampling rule in force that the service uses
(models/tagging/schedule.py); `stream_examples_per_second` is what the running worker makes of it, see
benchmarks/tagger_stream.py. Quality: any pictures; OpenMoji by default; means over several splits, see
benchmarks/tagger_quality.py.
"""

from __future__ import annotations

import gc
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tagger_peers import run_peers
from benchmarks.tagger_quality import SPLITS, Project, Split, run_few_shot, run_quality, splits
from benchmarks.workloads import BATCH, DIMENSION, TAGS, TagStream
from models.quantise import quantise
from models.tagging.calibration.schedule import SLOW, SLOW_MS, STAGES
from models.tagging.evidence.ridge import invert_gram, solve_rows
from models.tagging.examples import Example
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from stream.process import tune_process

PARTS = ("speed", "quality", "few_shot")
WARM_UP = 57_344  # fills the exemplars and reaches the last stage of the schedule
MADE_AHEAD = 4  # batches, so that learning goes from one to the next as it does in the service
STEADY = 12 * BATCH  # what 20,000 images a second learn in 5 s, the usual time between checkpoints
SAMPLING = "; ".join(f"from {s.start}: the first {s.sample} of every {s.block}" for s in STAGES) + (
    f", or of fewer, but not of fewer than {SLOW}, when {SLOW_MS // 60_000} minutes have passed by the log"
)


def run(
    json_path: Path | None = None,
    *,
    pictures: tuple[np.ndarray, Sequence[Sequence[str]]] | None = None,
    project: Project | None = None,
    stream_examples_per_second: Callable[[], float] | None = None,
    tags: int = TAGS,
    peers: bool = True,
    parts: Sequence[str] = PARTS,
    split_count: int = SPLITS,
) -> dict[str, Any]:
    """Measure, and write the report as JSON when a path is given.

    Args:
        json_path: where to write.
        pictures: features [N, F] and tags of each picture; OpenMoji's when None.
        project: fits on training features, returns what makes unit vectors; `fit_projection` when None.
        stream_examples_per_second: measures the same through a broker; null in the report when None.
        tags: how many, for the speed part.
        peers: whether to measure them, which takes minutes.
        parts: which of `PARTS` to measure.
        split_count: how many splits the quality part takes the mean of.
    """
    cuts: list[Split] = []
    if "quality" in parts or "few_shot" in parts:
        features, names = pictures if pictures is not None else openmoji_features()
        cuts = splits(features, names, project or fitted_projection, split_count if "quality" in parts else 1)
    report: dict[str, Any] = {}
    if "speed" in parts:
        through_broker = stream_examples_per_second() if stream_examples_per_second else None
        report["speed"] = run_speed(tags, peers) | {"stream_examples_per_second": through_broker}
    if "quality" in parts:
        report["quality"] = run_quality(cuts, xgboost=peers)
    if "few_shot" in parts:
        report["few_shot"] = run_few_shot(cuts[0])
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8")
    return report


def run_speed(tags: int = TAGS, peers: bool = True) -> dict[str, Any]:
    """The `speed` part of the report."""
    stream = TagStream(tags)
    with tempfile.TemporaryDirectory() as folder:
        store = TaggerStore(Path(folder) / "tagger.sqlite", Tagger(dimension=DIMENSION))
        tagger, _ = store.open()
        tune_process()  # as the tags worker does
        first = _learn(tagger, stream, 10_240)
        _learn(tagger, stream, WARM_UP - 10_240)
        store.checkpoint({})
        taken_s = STEADY / _learn(tagger, stream, STEADY)
        start = time.perf_counter()
        store.checkpoint({})
        checkpoint_s = time.perf_counter() - start
        figures: dict[str, Any] = {
            "tags": tags,
            "dim": DIMENSION,
            "ours_images_per_second": STEADY / (taken_s + checkpoint_s),
            "ours_first_10k_images_per_second": first,
            "checkpoint_ms": checkpoint_s * 1000,
            "sampling": SAMPLING,
            **_serving(tagger, stream),
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        store.close()
    if peers:
        del tagger, store
        gc.collect()
        speeds, measured = run_peers(stream)
        libraries = [speed for name, speed in speeds.items() if speed is not None and name != "torch_adagrad_bank"]
        figures["peers"], figures["scaled_from_tags"] = speeds, measured
        figures["over_best_library"] = figures["ours_images_per_second"] / max(libraries)
        figures["over_torch_bank"] = figures["ours_images_per_second"] / (speeds["torch_adagrad_bank"] or np.nan)
    return figures


def _learn(tagger: Tagger, stream: TagStream, count: int) -> float:
    """Images per second, the making of the examples not counted, and nothing of the learning left over."""
    taken_s = 0.0
    batches = stream.batches(count)
    while made := list(islice(batches, MADE_AHEAD)):
        start = time.perf_counter()
        for position, examples in made:
            tagger.learn_many(examples, position)
        assert tagger.statistics.sums.images > 0  # waits for the sums, which follow on a thread of their own
        taken_s += time.perf_counter() - start
    return count / taken_s


def _serving(tagger: Tagger, stream: TagStream) -> dict[str, float]:
    sums = tagger.statistics.sums

    def solve() -> None:
        inverse = invert_gram(sums.gram.astype(np.float64), sums.total.astype(np.float64), sums.images)
        solve_rows(inverse, sums.tags, sums.counts)

    solve_ms = _best_ms(solve, 3)
    tagger.snapshot(wait=True)
    vectors, _ = stream.draw(512)
    codes = quantise(vectors)
    new_ms = []
    for i in range(5):
        tagger.learn_many([Example(f"new {i}", codes[i], (f"new tag {i}",))], tagger.next_position)
        start = time.perf_counter()
        tagger.snapshot()
        new_ms.append((time.perf_counter() - start) * 1000)
    predictor = tagger.predictor()
    neighbours = predictor.find_neighbours(vectors)
    batch_ms = _best_ms(lambda: predictor.probabilities(vectors, neighbours), 3)
    one = [_best_ms(lambda i=i: predictor.predict(vectors[i : i + 1]), 1) for i in range(50)]  # type: ignore[misc]
    return {
        "predict_images_per_second": len(vectors) / batch_ms * 1000,
        "predict_one_ms": float(np.median(one)),
        "solve_ms": solve_ms,
        "new_tag_row_ms": float(np.median(new_ms)),
    }


def _best_ms(work: Callable[[], object], times: int) -> float:
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best * 1000


def fitted_projection(features: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The encoder's projection, fitted on these features."""
    from models.encoders.projection import Projector, fit_projection

    return Projector(fit_projection(features, min(DIMENSION, len(features) - 1))).apply


def openmoji_features() -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """Raw features [N, 2608] of the OpenMoji pictures and their English tags."""
    import cv2

    from admin.openmoji import load_pictures, rasterise
    from models.encoders.load import load_extractor

    pictures, extractor, features = load_pictures(), load_extractor(), []
    for start in range(0, len(pictures), 64):
        files = [np.frombuffer(rasterise(picture), np.uint8) for picture in pictures[start : start + 64]]
        pixels = [np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1] for file in files]
        features.append(extractor.extract(np.stack(pixels)))
    return np.concatenate(features), [picture.tags for picture in pictures]


if __name__ == "__main__":
    import sys

    print(json.dumps(run(Path(sys.argv[1]) if len(sys.argv) > 1 else None), indent=2))
