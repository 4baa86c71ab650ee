"""Few-shot: average precision of tags with many pictures, as if the learner had met only the first n of them."""

from typing import Any

import numpy as np

from models.evaluate import average_precision
from models.judging.probes import learn
from models.judging.splits import Split
from models.quantise import quantise
from models.tagging.examples import Example
from models.tagging.tagger import Tagger

FEW = (1, 2, 5, 10, 20)
ALL = 0  # stands for every picture


def run(data: Split) -> dict[str, Any]:
    """The `few_shot` part of the report.

    The pictures beyond the first n are taken out of the learner and put back, exactly; no other tag is touched
    otherwise. Figures are null where no tag has more than 20 training pictures.
    """
    tagger = learn(data)
    quantised = quantise(data.train)
    often = np.flatnonzero((data.train_truth.sum(axis=0) > max(FEW)) & data.test_truth.any(axis=0))
    figures: dict[int, list[float]] = {count: [] for count in (*FEW, ALL)}
    for tag in often:
        pictures = np.flatnonzero(data.train_truth[:, tag])
        for count in (*FEW, ALL):
            beyond = pictures[count:] if count else pictures[:0]
            _put(tagger, [Example(f"train-{i}", deleted=True) for i in beyond])
            scores = tagger.predictor().score(data.names[tag], data.test)
            figures[count].append(average_precision(data.test_truth[:, tag], scores))
            _put(tagger, [Example(f"train-{i}", quantised[i], data.tags_of(i)) for i in beyond])
    ap = {count: float(np.mean(values)) if values else None for count, values in figures.items()}
    ten, every = ap[10], ap[ALL]
    return {
        "tags": len(often),
        "positives": {str(count): ap[count] for count in FEW},
        "all": every,
        "ten_over_all": ten / every if ten is not None and every else None,
    }


def _put(tagger: Tagger, examples: list[Example]) -> None:
    tagger.statistics.apply(examples, tagger.next_position)  # calibrators stay as the pass left them
    tagger.learned += len(examples)
    tagger.evaluator.fit(tagger.learned)  # metric and co_occurrence must not remember what was taken out
