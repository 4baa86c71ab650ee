"""N1 as a whole: the networks asked for, one after another."""

from collections.abc import Sequence
from typing import Any

from benchmarks.training import autoencoder, tags, taste


def run(networks: Sequence[str], splits: int) -> dict[str, Any]:
    """Figures of each network by its name."""
    scenarios = {"autoencoder": autoencoder.run, "tags": lambda: tags.run(splits), "taste": taste.run}
    return {"id": "N1"} | {name: scenarios[name]() for name in networks}
