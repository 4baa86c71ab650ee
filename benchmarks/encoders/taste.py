"""N1d: a simulated person's taste, learned by networks and by the service's own ranker from the same pairs."""

import resource
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.encoders.openmoji import OpenMoji
from models.encoders.base import Vectors
from models.encoders.load import load_encoder
from models.encoders.training.data.split import held_out
from models.encoders.training.export import export_onnx, run_graph
from models.encoders.training.taste import Preferences, TasteOptions, train_taste
from models.evaluate import ndcg_at, pair_accuracy
from models.judging.person import click_pairs, taste_of
from models.judging.table import spread
from models.preprocess import fit_square
from models.ranking.pairs import Pair
from models.ranking.ranknet import Ranker

TEST = 0.2
TEST_PAIRS = 1000
NDCG_AT = 100
SMALL_EPOCHS = 6  # a minute each
MOST_SPLITS = 3  # two to four minutes each


def run(splits: int = 5, pairs: int = 3000, options: TasteOptions = TasteOptions()) -> dict[str, Any]:
    """Accuracy on pairs of pictures that no candidate saw, nor the choice of when to stop; kept or not.

    Of three splits at most; the small network is trained on the first one alone.
    """
    source = OpenMoji()
    encoder = load_encoder("onnx")
    vectors = dict(zip(source.ids, encoder.embed(np.stack([source.pixels[name] for name in source.ids])), strict=True))
    rows = [_split(source, vectors, pairs, options, seed) for seed in range(min(splits, MOST_SPLITS))]
    figures: dict[str, Any] = {"pairs": pairs, "images": len(source.ids)}
    for name in rows[0]:
        of_each = [row[name] for row in rows if name in row]
        figures |= {name: float(np.mean(of_each))} | ({f"{name}_std": spread(of_each)} if len(of_each) > 1 else {})
    gained = [row["accuracy_finetuned"] - row["accuracy_frozen"] for row in rows]
    figures |= {"accuracy_gained": float(np.mean(gained)), "accuracy_gained_std": spread(gained)}
    figures["ndcg_at_100"] = figures["ndcg_at_100_finetuned"]
    return figures | {"splits": rows, "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def _split(
    source: OpenMoji, vectors: Mapping[str, Vectors], pairs: int, options: TasteOptions, seed: int
) -> dict[str, float]:
    tastes = {name: taste_of(source.tags[name], source.pixels[name]) for name in source.ids}
    test = {source.ids[row] for row in held_out(source.ids, source.looks, seed=1000 + seed, share=TEST)}
    known = {name: taste for name, taste in tastes.items() if name not in test}
    unseen = {name: taste for name, taste in tastes.items() if name in test}
    ids = sorted(unseen)
    learned = click_pairs(known, pairs, seed=seed)
    asked = click_pairs(unseen, TEST_PAIRS, seed=seed + 1, random_share=0.0)
    recipe, body = (replace(one, seed=seed) for one in (options.recipe, options.body))
    scores = {"ranker": _ranker(vectors, learned, ids)}
    scores |= _trained(source, learned, replace(options, network="body", recipe=recipe, body=body), ids)
    if not seed:
        small = replace(recipe, epochs=SMALL_EPOCHS)
        scores |= _trained(source, learned, replace(options, network="small-cnn", recipe=small), ids)
    gains = np.array([unseen[name] for name in ids])
    figures: dict[str, float] = {}
    for name, of_one in scores.items():
        by_id = dict(zip(ids, of_one, strict=True))
        preferred, over = (np.array([by_id[name] for name in side]) for side in _sides(asked))
        figures[f"accuracy_{name.replace('-', '_')}"] = pair_accuracy(preferred, over)
        figures[f"ndcg_at_100_{name.replace('-', '_')}"] = ndcg_at(gains - gains.min(), of_one, NDCG_AT)
    return figures


def _sides(pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
    return [pair.preferred for pair in pairs], [pair.over for pair in pairs]


def _trained(source: OpenMoji, pairs: list[Pair], options: TasteOptions, ids: list[str]) -> dict[str, Any]:
    """Scores of pictures by each candidate, through the graph that is served."""
    with tempfile.TemporaryDirectory() as folder:
        done = train_taste(source, Preferences(pairs), Path(folder), options, lambda *_: None)
        size_px = done.trained.size_px
        images = np.stack([fit_square(source.pixels[name], size_px) for name in ids])
        found = {}
        for name, network in done.candidates.items():
            export_onnx(network, size_px, Path(folder) / "served.onnx", ("features", "score"))
            (found[name],) = run_graph(Path(folder) / "served.onnx", images, ["score"])
        return found


def _ranker(vectors: Mapping[str, Vectors], pairs: list[Pair], ids: list[str]) -> Any:
    """Scores by the ranker of the service, on the default encoder's vectors."""
    ranker = Ranker(len(vectors[ids[0]]))
    preferred, over = (np.stack([vectors[name] for name in side]) for side in _sides(pairs))
    ranker.learn_many(preferred, over)
    return ranker.published().score(np.stack([vectors[name] for name in ids]))
