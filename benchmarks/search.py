"""S1: the embedded index while it grows, through its own process, beside floats on the same points in the same run.

In: how many points. Out: milliseconds of a search for ten, recall, the worst gap between two answers while points are
written, writes a second, memory of the process. Points are mixtures of real pictures: two of OpenMoji's and noise.
"""

import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin.console import progress
from admin.operators.embedded import spawn
from benchmarks.bits import Vectors, binary_figures, openmoji_vectors, share_a_tag
from benchmarks.workloads import mixtures
from models.look import LOOK_BYTES
from stream.environment import load_settings
from stream.index.payload import ImagePayload, IndexRecord
from stream.index.process.remote import RemoteIndex
from stream.log.embedded_broker import free_port
from stream.settings import QdrantSettings, Settings

QUERIES, WANTED, BATCH, CHUNK = 200, 10, 128, 20_000
GAP_S = 15.0  # of writing under searches: three flushes to the disk
ENCODER, LOOK = "bench", "A" * (LOOK_BYTES * 4 // 3)


def run(sizes: Sequence[int]) -> dict[str, Any]:
    """Figures of each size, and what bits keep of real vectors."""
    real, tags = openmoji_vectors()
    return {
        "id": "S1",
        "points": {str(size): _measure(size, real) for size in sizes},
        "binary": binary_figures(real, share_a_tag(tags)),
    }


def _measure(size: int, real: Vectors) -> dict[str, float]:
    queries = next(mixtures(real, QUERIES, QUERIES, seed=1))
    with tempfile.TemporaryDirectory(prefix="mekiki-bench-") as folder:
        settings = load_settings(data_dir=Path(folder), index_socket=f"127.0.0.1:{free_port()}")
        with _served(settings, "auto") as (index, process):
            rate, nearest = _fill(index, size, real, queries)
            index.flush()
            times_ms, recall = _search(index, queries, nearest)
            rss_mb = _rss_mb(process.pid)
            gap_ms = _worst_gap_ms(index, size, real, queries)
        with _served(settings, "none") as (index, _):
            float_ms, _ = _search(index, queries, nearest)
    return {
        "p50_ms": round(float(np.median(times_ms)), 2),
        "p95_ms": round(float(np.percentile(times_ms, 95)), 2),
        "recall_at_10": round(recall, 4),
        "worst_gap_ms": round(gap_ms, 1),
        "writes_per_second": round(rate),
        "rss_mb": round(rss_mb),
        "float_p50_ms": round(float(np.median(float_ms)), 2),
        "float_p95_ms": round(float(np.percentile(float_ms, 95)), 2),
    }


@contextmanager
def _served(settings: Settings, quantization: str) -> Iterator[tuple[RemoteIndex, subprocess.Popen[bytes]]]:
    """The index in a process of its own; "none" searches by floats whatever codes there are."""
    qdrant = QdrantSettings.model_validate({"quantization": quantization})
    own = settings.model_copy(update={"qdrant": qdrant})
    process = spawn(own, ("work", "index"), settings.data_path / "index.log")
    index = RemoteIndex(settings.index_socket or "", timeout_s=120.0)
    try:
        index.open(ENCODER, 512)
        yield index, process
    finally:
        index.close()
        process.terminate()
        process.wait()


def _record(number: int, vector: Vectors) -> IndexRecord:
    tags = (f"tag {number % 100}", f"tag {number % 7}", "all")
    payload = ImagePayload(f"{number:064x}", f"bench:{number}", "png", 224, 224, 9_000, ENCODER, tags=tags, look=LOOK)
    return IndexRecord(f"bench-{number}", 1, payload, vector)


def _fill(index: RemoteIndex, size: int, real: Vectors, queries: Vectors) -> tuple[float, NDArray[np.intp]]:
    """Writes a second, and the ten nearest of each query [Q, 10]."""
    spent_s, best = 0.0, np.full((len(queries), WANTED), -np.inf, np.float32)
    nearest, number = np.zeros(best.shape, np.intp), 0
    with progress() as bar:
        task = bar.add_task("points", total=size, note="")
        for chunk in mixtures(real, size, CHUNK):
            scores = np.concatenate([best, queries @ chunk.T], axis=1)
            numbers = np.concatenate([nearest, np.tile(np.arange(number, number + len(chunk)), (len(best), 1))], axis=1)
            order = np.argsort(-scores, axis=1, kind="stable")[:, :WANTED]
            best, nearest = np.take_along_axis(scores, order, 1), np.take_along_axis(numbers, order, 1)
            for start in range(0, len(chunk), BATCH):
                records = [_record(number + start + at, row) for at, row in enumerate(chunk[start : start + BATCH])]
                started_s = time.perf_counter()
                index.write(records, [])
                spent_s += time.perf_counter() - started_s
                bar.advance(task, len(records))
            number += len(chunk)
    return size / spent_s, nearest


def _search(index: RemoteIndex, queries: Vectors, nearest: NDArray[np.intp]) -> tuple[list[float], float]:
    """Milliseconds of each search, and recall@10; the first ten only warm up."""
    times_ms, found = [], []
    for query in queries[:10]:
        index.search(query, WANTED)
    for query, true in zip(queries, nearest, strict=True):
        started_s = time.perf_counter()
        hits = index.search(query, WANTED)
        times_ms.append(1_000 * (time.perf_counter() - started_s))
        found.append(len({hit.image_id for hit in hits} & {f"bench-{number}" for number in true}) / WANTED)
    return times_ms, float(np.mean(found))


def _worst_gap_ms(index: RemoteIndex, size: int, real: Vectors, queries: Vectors) -> float:
    """The longest between two answers of a client that asks all the time, while another writes all the time."""
    stopping, answered_s = threading.Event(), [time.perf_counter()]

    def ask() -> None:
        while not stopping.is_set():
            index.search(queries[len(answered_s) % len(queries)], WANTED)
            answered_s.append(time.perf_counter())

    asking = threading.Thread(target=ask)
    asking.start()
    until_s, number = time.perf_counter() + GAP_S, size
    try:
        for rows in mixtures(real, 10**9, BATCH, seed=2):
            index.write([_record(number + at, row) for at, row in enumerate(rows)], [])
            number += len(rows)
            if time.perf_counter() > until_s:
                break
    finally:
        stopping.set()
        asking.join()
    return 1_000 * float(np.diff(answered_s).max())


def _rss_mb(pid: int) -> float:
    """Resident memory, what is mapped from files included; Linux only."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
