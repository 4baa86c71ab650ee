"""What one could pick instead of our tag learner, on the same vectors, one pass: images learned per second.

Peers that would take hours are measured on fewer tags and scaled by the number of tags, which is how their work grows;
`scaled_from_tags` says where. One that is not installed is reported as null.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads import TagStream

SOME_TAGS = 30  # measured, then scaled
SOME_IMAGES = 256
MINIBATCH = 256


def run_peers(stream: TagStream) -> tuple[dict[str, float | None], dict[str, int]]:
    """Images per second of each peer at the stream's number of tags, and the tags it was measured on."""
    vectors, tags = stream.draw(SOME_IMAGES)
    total = len(stream.names)
    few = np.array([(tags == tag).any(axis=1) for tag in range(SOME_TAGS)]).T  # [images, SOME_TAGS]
    speeds: dict[str, float | None] = {}
    measured: dict[str, int] = {}

    def take(name: str, at: int, peer: Callable[[], int]) -> None:
        start = time.perf_counter()
        try:
            images = peer()
        except ImportError:
            speeds[name] = None
            return
        speeds[name] = images / (time.perf_counter() - start) * at / total
        measured[name] = at

    take("river_logistic_sgd", SOME_TAGS, lambda: _river(vectors, few, "SGD"))
    take("river_logistic_adagrad", SOME_TAGS, lambda: _river(vectors[:64], few[:64], "AdaGrad"))
    take("sklearn_sgd_partial_fit", SOME_TAGS, lambda: _sklearn(vectors, few))
    speeds["vowpal_wabbit_multilabel_oaa"] = _vowpal(vectors[:48], tags[:48], total)
    measured["vowpal_wabbit_multilabel_oaa"] = total
    speeds["torch_adagrad_bank"] = _torch_bank(vectors, tags, total)
    measured["torch_adagrad_bank"] = total
    return speeds, measured


def _river(vectors: np.ndarray, truth: np.ndarray, optimizer: str) -> int:
    from river import linear_model, optim

    models = [linear_model.LogisticRegression(getattr(optim, optimizer)(0.1)) for _ in range(truth.shape[1])]
    for vector, row in zip(vectors.tolist(), truth.tolist(), strict=True):
        features = dict(enumerate(vector))
        for model, present in zip(models, row, strict=True):
            model.learn_one(features, present)
    return len(vectors)


def _sklearn(vectors: np.ndarray, truth: np.ndarray) -> int:
    from sklearn.linear_model import SGDClassifier

    for tag in range(truth.shape[1]):
        model = SGDClassifier(loss="log_loss")
        model.partial_fit(vectors[:MINIBATCH], truth[:MINIBATCH, tag], classes=[False, True])
    return min(MINIBATCH, len(vectors))


def _vowpal(vectors: np.ndarray, tags: np.ndarray, total: int) -> float | None:
    try:
        from vowpalwabbit import Workspace
    except ImportError:
        return None
    lines = [
        ",".join(str(tag) for tag in sorted(set(row))) + " | " + " ".join(f"{i}:{v:.5f}" for i, v in enumerate(vector))
        for vector, row in zip(vectors.tolist(), tags.tolist(), strict=True)
    ]
    bits = int(np.ceil(np.log2(total * (vectors.shape[1] + 1))))
    model = Workspace(f"--multilabel_oaa {total} --loss_function logistic -b {bits} --quiet")
    model.learn(lines[0])  # the first example allocates
    start = time.perf_counter()
    for line in lines[1:]:
        model.learn(line)
    speed = (len(lines) - 1) / (time.perf_counter() - start)
    model.finish()
    return speed


def _torch_bank(vectors: np.ndarray, tags: np.ndarray, total: int) -> float:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    bank = torch.zeros((vectors.shape[1] + 1, total), device=device, requires_grad=True)
    optimizer = torch.optim.Adagrad([bank], lr=0.1)
    x = torch.cat([torch.from_numpy(vectors), torch.ones(len(vectors), 1)], dim=1).to(device)
    y = torch.zeros((len(vectors), total), device=device)
    y.scatter_(1, torch.from_numpy(tags).to(device), 1.0)
    timings: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        loss: Any = torch.nn.functional.binary_cross_entropy_with_logits(x @ bank, y, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        float(loss)
        timings.append(time.perf_counter() - start)
    return len(vectors) / min(timings)
