"""K1 as a whole: an export as of an offset, checked; then a click model in river on it, beside what it should beat.

Three quarters of the pictures are tagged and exported. The others are new: nobody has tagged them, their vector is
what the service predicts of them. Every model sees the same impressions once, and predicts each before it learns it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from river import linear_model, optim
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.ctr.clicks import Impression, impressions
from benchmarks.ctr.export import Vectors, checked_export
from benchmarks.encoders.openmoji import OpenMoji
from models.encoders.load import load_encoder
from models.judging.person import taste_of
from models.quantise import dequantise, quantise
from models.tagging.examples import Example
from models.tagging.tag_vectors import TagVectors
from models.tagging.tagger import Tagger

NEW = 4  # every fourth picture is one that nobody has tagged
LEAST = 0.01  # probability below which a tag is left out: river takes a missing feature for 0
RATES = (0.03, 0.1, 0.3, 1.0)  # of AdaGrad; each model is shown at its best on impressions of another seed

Features = Mapping[str, Mapping[str, float]]  # by picture


def run(pictures: int, shown: int) -> dict[str, Any]:
    """Figures of the export, and of the click models by what they know."""
    source = OpenMoji(pictures)
    tagged, new = _tagged_and_new(source)
    figures, found = checked_export(tagged)
    known = {example.image_id for example in tagged}
    tags: Features = {name: dict.fromkeys(source.tags[name], 1.0) if name in known else {} for name in source.ids}
    sets: dict[str, Features] = {
        "position": {name: {} for name in source.ids},
        "raw_tags": tags,
        "tag_vector": _features(found | _predicted(tagged, new)),
    }
    tastes = {name: taste_of(source.tags[name], source.pixels[name]) for name in source.ids}
    tuning, judged = (impressions(tastes, shown, seed=seed) for seed in (1, 0))
    models = {name: _best(features, tuning, judged, known) for name, features in sets.items()}
    truth = _figures(judged, [one.chance for one in judged], known)  # no model can be better but by luck
    return {"id": "K1", "export": figures, "ctr": {"impressions": shown} | models | {"truth": truth}}


def export_figures(pictures: int) -> dict[str, Any]:
    """The export alone."""
    tagged, _ = _tagged_and_new(OpenMoji(pictures))
    return checked_export(tagged)[0]


def _tagged_and_new(source: OpenMoji) -> tuple[list[Example], list[Example]]:
    vectors = quantise(load_encoder("onnx").embed(np.stack([source.pixels[name] for name in source.ids])))
    examples = [Example(name, row, source.tags[name]) for name, row in zip(source.ids, vectors, strict=True)]
    return [example for number, example in enumerate(examples) if number % NEW], examples[::NEW]


def _predicted(tagged: Sequence[Example], new: Sequence[Example]) -> Vectors:
    """What the service predicts of pictures that nobody has tagged, by the ids of the export."""
    tagger = Tagger()
    tagger.learn_many(tagged, 0)
    rows = np.stack([example.vector for example in new if example.vector is not None])
    predicted = TagVectors(tagger).predict(dequantise(rows))
    tagger.close()
    return dict(zip([example.image_id for example in new], predicted, strict=True))


def _features(vectors: Vectors) -> Features:
    """Vectors as river takes them."""
    return {
        name: {f"t{number}": float(row[number]) for number in np.flatnonzero(row >= LEAST)}
        for name, row in vectors.items()
    }


def _best(
    features: Features, tuning: Sequence[Impression], judged: Sequence[Impression], known: set[str]
) -> dict[str, float]:
    rates = {rate: _progressive(features, tuning, known, rate)["log_loss"] for rate in RATES}
    rate = min(RATES, key=lambda one: rates[one])
    return _progressive(features, judged, known, rate) | {"rate": rate}


def _progressive(features: Features, shown: Sequence[Impression], known: set[str], rate: float) -> dict[str, float]:
    """Figures of one pass, each impression predicted before it is learned."""
    model = linear_model.LogisticRegression(optim.AdaGrad(rate))
    predicted = []
    for one in shown:
        x = {f"position {one.position}": 1.0, **features[one.image_id]}
        predicted.append(model.predict_proba_one(x)[True])  # type: ignore[no-untyped-call]
        model.learn_one(x, one.clicked)
    return _figures(shown, predicted, known)


def _figures(shown: Sequence[Impression], predicted: Sequence[float], known: set[str]) -> dict[str, float]:
    """Log loss and ROC AUC of all impressions, of those of tagged pictures, and of those of new ones."""
    clicked, chances = np.array([one.clicked for one in shown]), np.array(predicted)
    new = np.array([one.image_id not in known for one in shown])
    parts = (("", np.ones(len(shown), np.bool_)), ("_tagged", ~new), ("_new", new))
    losses = {f"log_loss{kind}": float(log_loss(clicked[part], chances[part])) for kind, part in parts}
    return losses | {f"roc_auc{kind}": float(roc_auc_score(clicked[part], chances[part])) for kind, part in parts}
