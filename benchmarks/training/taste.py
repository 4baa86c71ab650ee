"""N1c: a simulated person's taste, learned by networks and by the service's own ranker from the same pairs."""

import resource
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training.openmoji import OpenMoji
from models.encoders.load import load_encoder
from models.encoders.training.data.split import held_out
from models.encoders.training.export import export_onnx, run_graph
from models.encoders.training.taste import Network, Preferences, TasteOptions, train_taste
from models.evaluate import ndcg_at, pair_accuracy
from models.judging.person import click_pairs, taste_of
from models.preprocess import fit_square
from models.ranking.pairs import Pair
from models.ranking.ranknet import Ranker

TEST = 0.2
TEST_PAIRS = 1000
NDCG_AT = 100


def run(pairs: int = 3000, options: TasteOptions = TasteOptions(), seed: int = 0) -> dict[str, Any]:
    """Accuracy on pairs of pictures that no candidate saw, nor the choice of when to stop."""
    source = OpenMoji()
    tastes = {name: taste_of(source.tags[name], source.pixels[name]) for name in source.ids}
    test = {source.ids[row] for row in held_out(source.ids, source.looks, seed=1000 + seed, share=TEST)}
    known = {name: taste for name, taste in tastes.items() if name not in test}
    unseen = {name: taste for name, taste in tastes.items() if name in test}
    learned = click_pairs(known, pairs, seed=seed)
    asked = click_pairs(unseen, TEST_PAIRS, seed=seed + 1, random_share=0.0)
    figures: dict[str, Any] = {"pairs": len(learned), "images": len(source.ids)}
    scores = {"ranker": _ranker(source, learned, sorted(unseen))}
    networks: tuple[Network, ...] = ("small-cnn", "body")
    for network in networks:
        scores |= _trained(source, learned, replace(options, network=network), sorted(unseen))
    gains = np.array([unseen[name] for name in sorted(unseen)])
    for name, of_one in scores.items():
        by_id = dict(zip(sorted(unseen), of_one, strict=True))
        preferred = np.array([by_id[pair.preferred] for pair in asked])
        over = np.array([by_id[pair.over] for pair in asked])
        figures[f"accuracy_{name.replace('-', '_')}"] = pair_accuracy(preferred, over)
        figures[f"ndcg_at_100_{name.replace('-', '_')}"] = ndcg_at(gains - gains.min(), of_one, NDCG_AT)
    return figures | {"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


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


def _ranker(source: OpenMoji, pairs: list[Pair], ids: list[str]) -> Any:
    """Scores by the ranker of the service, on the default encoder's vectors."""
    encoder = load_encoder("onnx")
    vectors = dict(zip(source.ids, encoder.embed(np.stack([source.pixels[name] for name in source.ids])), strict=True))
    ranker = Ranker(encoder.dimension)
    ranker.learn_many(
        np.stack([vectors[pair.preferred] for pair in pairs]), np.stack([vectors[pair.over] for pair in pairs])
    )
    return ranker.published().score(np.stack([vectors[name] for name in ids]))
