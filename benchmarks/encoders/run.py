"""N1 as a whole: the parts asked for, one after another, each in a process of its own.

So the memory that a part says is its own, and what one leaves behind does not slow the next.
"""

import importlib
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks.encoders.parts import Part
from benchmarks.encoders.unlike import check_installed
from stream.export.table import load_arrow

BY_SPLITS = {Part.ENCODERS: "table", Part.TAGS: "tags", Part.TASTE: "taste"}
PICTURES = 800  # of the export
IMAGES = 600  # of the stream


def run(parts: Sequence[Part], splits: int) -> dict[str, Any]:
    """Figures of each part by its name, and the seconds that it took.

    Raises:
        ConfigurationError: a package of the extra `bench` is not installed.
    """
    if Part.FIT in parts:
        check_installed()
    if Part.EXPORT in parts:
        load_arrow()
    figures: dict[str, Any] = {"id": "N1"}
    seconds: dict[str, float] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as processes:
        for part in parts:
            started_s = time.perf_counter()
            figures[part.value] = processes.submit(_measured, part, splits).result()
            seconds[part.value] = round(time.perf_counter() - started_s, 1)
    return figures | {"seconds": seconds}


def _measured(part: Part, splits: int) -> Any:
    """What one part says; only what it needs is imported."""
    if part in BY_SPLITS:
        return importlib.import_module(f"benchmarks.encoders.{BY_SPLITS[part]}").run(splits)
    if part is Part.AUTOENCODER:
        from benchmarks.encoders import autoencoder

        return autoencoder.run()
    if part is Part.FIT:
        from benchmarks.encoders import fit

        return fit.run()
    if part is Part.BINARY:
        from benchmarks.bits import run as bits

        return bits()
    if part is Part.EXPORT:
        from benchmarks.ctr.run import export_figures

        return export_figures(PICTURES)
    from benchmarks.ingest import run as ingest

    return ingest(IMAGES)["ingest_over_encoder"]
