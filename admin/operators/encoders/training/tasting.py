"""Trains a network of taste on the service's pictures and clicks; makes an encoder of it where there is no better.

In: options, maybe a file of ratings. Out: an encoder's folder. Raises what models.encoders.training.taste does, and
BrokerUnavailableError and ConfigurationError.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from admin.console import errors_out
from admin.operators.encoders.training.pictures import stream_pictures
from admin.operators.encoders.training.preferences import clicked, rated
from admin.operators.encoders.training.running import Run, shown_progress
from models.encoders.base import Images
from models.encoders.registry.folders import EncoderFolders
from models.encoders.training.data.pictures import Pictures
from models.encoders.training.export import GRAPH, run_graph
from models.encoders.training.taste import TasteOptions, train_taste
from models.evaluate import pair_accuracy
from models.faces import drawn_faces
from models.preprocess import face_of, fit_square
from models.ranking.pairs import Pair
from stream.settings import Settings

AT_ONCE = 64  # pictures scored at once


def train_and_install(options: TasteOptions, name: str, ratings: Path | None, settings: Settings) -> None:
    """Train, say how well each candidate orders held-out pictures, and keep the best one where none is better."""
    run = Run(EncoderFolders(settings.encoders_path), name, replace=True)
    options = replace(options, threads=settings.encoder.threads)
    said = rated(ratings, options.recipe.seed) if ratings is not None else clicked(settings)
    if options.cut:
        drawn_faces()  # what is missing is said before anything is read
    with stream_pictures(settings) as whole, shown_progress() as report:
        source = Faces(whole) if options.cut else whole
        done = train_taste(source, said, run.folder, options, report)
        before = accuracy_of(run, source, done.watched)
    kept = done.trained.training["kept"]
    for candidate, order in done.orders.items():
        errors_out.print(
            f"{candidate}: pair accuracy {order.accuracy:.3f}, NDCG@100 {order.ndcg:.3f} on held-out pictures"
        )
    if before is not None and before >= done.orders[kept].accuracy:
        errors_out.print(f"encoder {name} stays as it is: its pair accuracy on the same pairs is {before:.3f}")
        run.discard()
        return
    run.finish(done.network, done.trained, done.courses[kept])


class Faces:
    """The pictures of a source with their faces cut out."""

    def __init__(self, source: Pictures) -> None:
        self.ids, self.looks, self.position = source.ids, source.looks, source.position
        self._source = source

    def load(self, ids: Sequence[str]) -> list[Images | None]:
        """See Pictures.load."""
        return [None if image is None else face_of(image) for image in self._source.load(ids)]


def accuracy_of(run: Run, source: Pictures, pairs: Sequence[Pair]) -> float | None:
    """Share of pairs that the encoder that is there orders as people do; None where there is none.

    Raises:
        ConfigurationError: what is there is not ours.
    """
    if not run.folders.path(run.name).exists():
        return None
    manifest = run.folders.manifest(run.name)
    graph, size_px = run.folders.file(manifest, GRAPH), manifest.input.size_px
    ids = sorted({name for pair in pairs for name in (pair.preferred, pair.over)})
    scores: dict[str, float] = {}
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        found = [(name, image) for name, image in zip(some, source.load(some), strict=True) if image is not None]
        if found:
            images = np.stack([fit_square(image, size_px) for _, image in found])
            (values,) = run_graph(graph, images, ["score"])
            scores |= {name: float(value) for (name, _), value in zip(found, values, strict=True)}
    known = [pair for pair in pairs if pair.preferred in scores and pair.over in scores]
    preferred, over = (np.array([scores[name] for name in names]) for names in _sides(known))
    return pair_accuracy(preferred, over)


def _sides(pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
    return [pair.preferred for pair in pairs], [pair.over for pair in pairs]
