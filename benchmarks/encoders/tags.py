"""N1c: tags by a head on the frozen body beside the same with its last blocks trained; means of several splits."""

import resource
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.encoders.openmoji import OpenMoji
from models.encoders.base import Images
from models.encoders.networks.heads import Probabilities
from models.encoders.training.data.split import held_out
from models.encoders.training.export import export_onnx, run_graph
from models.encoders.training.tags import TagOptions, train_tags
from models.evaluate import macro_average_precision
from models.judging.table import spread

TEST = 0.2
LEAST = 5  # pictures that carry a tag, for it to count


def run(splits: int = 5, options: TagOptions = TagOptions()) -> dict[str, Any]:
    """mAP on pictures that neither step saw, nor the choice of when to stop."""
    source = OpenMoji()
    rows = [_split(source, seed, options) for seed in range(splits)]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    gained = [row["map_finetuned"] - row["map_frozen"] for row in rows]
    return {
        "images": len(source.ids),
        "tags": round(means["tags"]),
        "map_frozen_head": means["map_frozen"],
        "map_heldout": means["map_finetuned"],
        "map_gained": float(np.mean(gained)),
        "map_gained_std": spread(gained),
        "splits": rows,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _split(source: OpenMoji, seed: int, options: TagOptions) -> dict[str, float]:
    test = held_out(source.ids, source.looks, seed=1000 + seed, share=TEST)
    apart = {source.ids[row] for row in test}
    known = {name: tags for name, tags in source.tags.items() if name not in apart}
    seeded = replace(options, recipe=replace(options.recipe, seed=seed), body=replace(options.body, seed=seed))
    with tempfile.TemporaryDirectory() as folder:
        done = train_tags(source, known, Path(folder), seeded, lambda *_: None)
        images = np.stack([source.pixels[source.ids[row]] for row in test])
        figures = {}
        for name, network in done.candidates.items():
            scores = _probabilities(network, images, Path(folder))
            figures[f"map_{name}"] = _map(scores, done.tags, [source.tags[source.ids[row]] for row in test], source)
        return figures | {"tags": len(done.tags), "test": len(test)}


def _probabilities(network: Probabilities, images: Images, folder: Path) -> Any:
    """float32 [N, T], by the graph that is served."""
    export_onnx(network, images.shape[1], folder / "served.onnx", ("features", "tags"))
    (probabilities,) = run_graph(folder / "served.onnx", images, ["tags"])
    return probabilities


def _map(scores: Any, names: Any, tags: Any, source: OpenMoji) -> float:
    counts: dict[str, int] = {}
    for of_one in source.tags.values():
        for tag in of_one:
            counts[tag] = counts.get(tag, 0) + 1
    place = {name: number for number, name in enumerate(names)}
    counted = [tag for tag in sorted(counts) if counts[tag] >= LEAST]
    truth = np.array([[tag in of_one for tag in counted] for of_one in tags])
    known = np.zeros((len(tags), len(counted)), np.float32)
    for column, tag in enumerate(counted):
        if tag in place:
            known[:, column] = scores[:, place[tag]]
    return macro_average_precision(truth, known)
