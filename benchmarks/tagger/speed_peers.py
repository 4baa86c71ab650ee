"""Peers of the speed part, on the same vectors, one pass: images learned per second.

Peers that would take hours are measured on fewer tags and scaled by the number of tags, which is how their work grows;
`scaled_from_tags` of the report says where.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.tagger.peers import Peer, running
from benchmarks.workloads import TagStream

SOME_TAGS = 30  # measured, then scaled
SOME_IMAGES = 256
ADAGRAD_IMAGES = 64  # river's AdaGrad keeps a number a feature in a dict, and takes four times as long
VOWPAL_IMAGES = 48  # at 30,000 tags it learns one or two a second
BANK = "torch_adagrad_bank"  # no library one could pick, but how fast dense learning can be


@dataclass(frozen=True)
class Measured:
    """One peer's figure: images a second at all tags, from how many tags, or None for one that was left out."""

    name: str
    peer: Peer
    images_per_second: float | None
    at_tags: int


def run_peers(stream: TagStream, without: Collection[Peer] = ()) -> list[Measured]:
    """All peers but `without`, at the stream's number of tags.

    Raises:
        ConfigurationError: one cannot run.
    """
    vectors, tags = stream.draw(SOME_IMAGES)
    total = len(stream.names)
    few = np.array([(tags == tag).any(axis=1) for tag in range(SOME_TAGS)]).T  # [images, SOME_TAGS]
    scale = SOME_TAGS / total
    work: tuple[tuple[str, Peer, int, Callable[[], float]], ...] = (
        ("river_logistic_sgd", Peer.RIVER, SOME_TAGS, lambda: _river(vectors, few, "SGD") * scale),
        ("river_logistic_adagrad", Peer.RIVER, SOME_TAGS,
         lambda: _river(vectors[:ADAGRAD_IMAGES], few[:ADAGRAD_IMAGES], "AdaGrad") * scale),
        ("sklearn_sgd_partial_fit", Peer.SKLEARN, SOME_TAGS, lambda: _sklearn(vectors, few) * scale),
        ("vowpal_wabbit_multilabel_oaa", Peer.VOWPAL, total,
         lambda: _vowpal(vectors[:VOWPAL_IMAGES], tags[:VOWPAL_IMAGES], total)),
        (BANK, Peer.TORCH, total, lambda: _torch_bank(vectors, tags, total)),
    )  # fmt: skip
    measured = []
    for name, peer, at_tags, measure in work:
        speed = None
        if peer not in without:
            with running(peer):
                speed = measure()
        measured.append(Measured(name, peer, speed, at_tags))
    return measured


def _river(vectors: np.ndarray, truth: np.ndarray, optimizer: str) -> float:
    from river import linear_model, optim

    models = [linear_model.LogisticRegression(getattr(optim, optimizer)(0.1)) for _ in range(truth.shape[1])]
    started_s = time.perf_counter()
    for vector, row in zip(vectors.tolist(), truth.tolist(), strict=True):
        features = dict(enumerate(vector))
        for model, present in zip(models, row, strict=True):
            model.learn_one(features, present)
    return len(vectors) / (time.perf_counter() - started_s)


def _sklearn(vectors: np.ndarray, truth: np.ndarray) -> float:
    from sklearn.linear_model import SGDClassifier

    started_s = time.perf_counter()
    for tag in range(truth.shape[1]):
        SGDClassifier(loss="log_loss").partial_fit(vectors, truth[:, tag], classes=[False, True])
    return len(vectors) / (time.perf_counter() - started_s)


def _vowpal(vectors: np.ndarray, tags: np.ndarray, total: int) -> float:
    from vowpalwabbit import Workspace

    lines = [
        ",".join(str(tag) for tag in sorted(set(row))) + " | " + " ".join(f"{i}:{v:.5f}" for i, v in enumerate(vector))
        for vector, row in zip(vectors.tolist(), tags.tolist(), strict=True)
    ]
    bits = int(np.ceil(np.log2(total * (vectors.shape[1] + 1))))  # a weight for each tag and number, none shared
    model = Workspace(f"--multilabel_oaa {total} --loss_function logistic -b {bits} --quiet")
    model.learn(lines[0])  # the first example allocates
    started_s = time.perf_counter()
    for line in lines[1:]:
        model.learn(line)
    speed = (len(lines) - 1) / (time.perf_counter() - started_s)
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
        started_s = time.perf_counter()
        loss: Any = torch.nn.functional.binary_cross_entropy_with_logits(x @ bank, y, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        float(loss.detach())
        timings.append(time.perf_counter() - started_s)
    return len(vectors) / min(timings)
