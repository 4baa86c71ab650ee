"""Offline peers of the quality part: they see the training side as often as they like.

The logistic regression's l2 and epochs are chosen on a validation split by picture, for each figure by itself; then it
is refitted on the whole training side. XGBoost takes minutes for 40 tags and is measured on these.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from models.evaluate import average_precision, ranking_figures
from models.judging.splits import Split

L2 = (1e-5, 3e-5, 1e-4, 3e-4)
EPOCHS = (25, 50, 100, 200)
XGBOOST_TAGS = 40


def offline_logistic(data: Split) -> dict[str, Any]:
    """Figures of the tuned logistic regression, and what it was tuned to."""
    held = np.random.default_rng(2).permutation(len(data.train)) < len(data.train) // 5
    fit, check = (data.train[~held], data.train_truth[~held]), (data.train[held], data.train_truth[held])
    tried = {
        (l2, epochs): ranking_figures(check[1], scores)
        for l2 in L2
        for epochs, scores in _logistic(*fit, check[0], l2, EPOCHS).items()
    }
    result: dict[str, Any] = {}
    for figure in next(iter(tried.values())):
        l2, epochs = max(tried, key=lambda setting: tried[setting][figure])
        scores = _logistic(data.train, data.train_truth, data.test, l2, (epochs,))[epochs]
        result[figure] = ranking_figures(data.test_truth, scores)[figure]
        result[f"{figure}_chosen"] = {"l2": l2, "epochs": epochs}
    return result


def _logistic(
    vectors: np.ndarray, truth: np.ndarray, queries: np.ndarray, l2: float, epochs: Sequence[int]
) -> dict[int, np.ndarray]:
    """Log-odds of the queries after each number of full passes with Adam."""
    x, y, q = torch.from_numpy(vectors), torch.from_numpy(truth.astype(np.float32)), torch.from_numpy(queries)
    weights = torch.zeros((x.shape[1], y.shape[1]), requires_grad=True)
    bias = torch.full((y.shape[1],), -5.0, requires_grad=True)
    optimizer = torch.optim.Adam([weights, bias], lr=0.1)
    result = {}
    for epoch in range(1, max(epochs) + 1):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x @ weights + bias, y, reduction="sum") / len(x)
        optimizer.zero_grad()
        torch.autograd.backward(loss + l2 * (weights**2).sum())
        optimizer.step()
        if epoch in epochs:
            result[epoch] = (q @ weights + bias).detach().numpy()
    return result


def xgboost_tags(data: Split) -> np.ndarray:
    """The tags that XGBoost is measured on."""
    return np.random.default_rng(1).permutation(len(data.names))[:XGBOOST_TAGS]


def xgboost_map(data: Split, tags: np.ndarray) -> float:
    """Mean average precision of one XGBoost classifier a tag."""
    from xgboost import XGBClassifier

    figures = []
    for tag in tags:
        model = XGBClassifier(n_estimators=100, max_depth=4, tree_method="hist", n_jobs=2)
        model.fit(data.train, data.train_truth[:, tag])
        figures.append(average_precision(data.test_truth[:, tag], model.predict_proba(data.test)[:, 1]))
    return float(np.nanmean(figures))
