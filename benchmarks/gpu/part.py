"""`python -m benchmarks.gpu.part NAME FILE cuda|cpu`: one part; its figures are in the file as soon as they are there.

A part is a function of the device that yields names and values. Whatever it raises ends the process, and what it
yielded before stays.
"""

import importlib
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PARTS = {
    "tests": "cuda_tests.run", "encoder": "encoder.run", "decode": "encoder.decode", "tagger": "tagger.run",
    "autoencoder": "training.autoencoder", "tags": "training.tags", "taste": "training.taste",
}  # fmt: skip


def main(name: str, file: Path, device: str) -> None:
    """Run one, writing after each figure."""
    logging.basicConfig(level=logging.WARNING)  # an encoder that runs uncompiled says so
    module, _, function = PARTS[name].partition(".")
    figures: dict[str, Any] = {}
    steps: Iterator[tuple[str, Any]] = getattr(importlib.import_module(f"benchmarks.gpu.{module}"), function)(device)
    for figure, value in steps:
        figures[figure] = round(value, 5) if isinstance(value, float) else value
        partial = file.with_suffix(".part")
        partial.write_text(json.dumps(figures))
        partial.replace(file)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
