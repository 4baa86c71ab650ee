"""What training makes small.

In: what a network says and what is true. Out: a scalar. Nothing fails.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

NEGATIVE_FOCUS, POSITIVE_FOCUS = 4.0, 0.0
MARGIN = 0.05  # of probability, below which an absent tag costs nothing


def tag_loss(log_odds: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy of [B, T], summed over tags, mean over pictures."""
    return F.binary_cross_entropy_with_logits(log_odds, truth, reduction="sum") / len(truth)


def asymmetric_loss(log_odds: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy that forgets easy negatives: of thousands of tags a picture lacks nearly all.

    As `tag_loss`. Source: Ridnik et al., Asymmetric Loss for Multi-Label Classification, ICCV 2021, equation 7.
    """
    p = torch.sigmoid(log_odds)
    shifted = (p - MARGIN).clamp(min=0)
    positive = truth * (1 - p) ** POSITIVE_FOCUS * F.logsigmoid(log_odds)
    negative = (1 - truth) * shifted**NEGATIVE_FOCUS * torch.log((1 - shifted).clamp(min=1e-8))
    return -(positive + negative).sum() / len(truth)
