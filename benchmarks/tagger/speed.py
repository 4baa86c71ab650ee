"""Speed of the tag learner: `benchmarks.workloads.TagStream`, a store on disk, one thread of Python.

`ours_images_per_second` is the steady state after 57,344 images, checkpoint included, with the sampling rule in force
that the service uses (models/tagging/calibration/schedule.py). Peers learn the same vectors, see speed_peers.py.
"""

import gc
import resource
import tempfile
import time
import timeit
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tagger.peers import Peer
from benchmarks.tagger.speed_peers import BANK, Measured, run_peers
from benchmarks.workloads import BATCH, DIMENSION, TagStream
from models.quantise import quantise
from models.tagging.calibration.schedule import SLOW, SLOW_MS, STAGES
from models.tagging.evidence.backend import load_backend
from models.tagging.evidence.ridge import invert_gram, solve_rows
from models.tagging.examples import Example
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from stream.process import tune_process

WARM_UP = 57_344  # fills the exemplars and reaches the last stage of the schedule
MADE_AHEAD = 4  # batches, so that learning goes from one to the next as it does in the service
STEADY = 12 * BATCH  # what 20,000 images a second learn in 5 s, the usual time between checkpoints
SAMPLING = "; ".join(f"from {s.start}: the first {s.sample} of every {s.block}" for s in STAGES) + (
    f", or of fewer, but not of fewer than {SLOW}, when {SLOW_MS // 60_000} minutes have passed by the log"
)


def run(tags: int, without: Collection[Peer] = ()) -> dict[str, Any]:
    """The `speed` part of the report.

    Raises:
        ConfigurationError: a peer cannot run.
    """
    stream = TagStream(tags)
    with tempfile.TemporaryDirectory() as folder:
        store = TaggerStore(Path(folder) / "tagger.sqlite", Tagger(dimension=DIMENSION))
        tagger, _ = store.open()
        tune_process()  # as the tags worker does
        first = learn_rate(tagger, stream, 10_240)
        learn_rate(tagger, stream, WARM_UP - 10_240)
        store.checkpoint({})
        taken_s = STEADY / learn_rate(tagger, stream, STEADY)
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
            **serving_figures(tagger, stream),
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        store.close()
    del tagger, store
    gc.collect()
    return figures | _beside_peers(figures["ours_images_per_second"], run_peers(stream, without))


def _beside_peers(ours: float, measured: Sequence[Measured]) -> dict[str, Any]:
    done = {peer.name: peer.images_per_second for peer in measured if peer.images_per_second is not None}
    bank = done.get(BANK)
    best = max((speed for name, speed in done.items() if name != BANK), default=None)
    return {
        "peers": {peer.name: peer.images_per_second for peer in measured},
        "scaled_from_tags": {peer.name: peer.at_tags for peer in measured if peer.name in done},
        "over_best_library": None if best is None else ours / best,
        "over_torch_bank": None if bank is None else ours / bank,
    }


def learn_rate(tagger: Tagger, stream: TagStream, count: int) -> float:
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


def serving_figures(tagger: Tagger, stream: TagStream) -> dict[str, float]:
    """What it takes to solve all tags, to take in a new one and to predict, with the tagger's own backend."""
    sums = tagger.statistics.sums
    backend = load_backend(tagger.backend)

    def solve() -> None:
        gram, total = sums.gram.astype(np.float64), sums.total.astype(np.float64)
        solve_rows(invert_gram(gram, total, sums.images, backend=backend), sums.tags, sums.counts, backend)

    solve_ms = _best_ms(solve, 3)
    tagger.snapshot(wait=True)
    vectors, _ = stream.draw(512)
    quantised = quantise(vectors)
    new_ms = []
    for i in range(5):
        tagger.learn_many([Example(f"new {i}", quantised[i], (f"new tag {i}",))], tagger.next_position)
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
    return min(timeit.repeat(work, number=1, repeat=times)) * 1000
