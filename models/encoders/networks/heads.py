"""What stands on a body's raw features: tags, or a score.

In: raw features float [B, 2608]. Out: features of the head's own, and what it says of them. Nothing fails.
"""

import torch
from torch import Tensor, nn

DROPOUT = 0.3
HIDDEN = (1024, 512)


class TagHead(nn.Module):
    """Fully connected layers with batch norm, ReLU and dropout, then one number a tag.

    Source: Saito and Matsui, Illustration2Vec, SIGGRAPH Asia 2015 Technical Briefs, in its second version.
    """

    def __init__(self, inputs: int, tags: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm1d(inputs)]  # the parts of raw features differ in scale
        for width in HIDDEN:
            layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(DROPOUT)]
            inputs = width
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(inputs, tags)

    def begin_at(self, priors: Tensor) -> None:
        """Start each tag at its share of the pictures, float [T], 0 to 1: the first steps are not spent on that."""
        with torch.no_grad():
            self.output.bias.copy_(torch.logit(priors, eps=1e-4))
            self.output.weight.mul_(0.1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 2608] -> features [B, 512], log-odds [B, T]."""
        hidden = self.layers(features)
        return hidden, self.output(hidden)


class ScoreHead(nn.Module):
    """A score on normalised features; these are passed on as they are."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(inputs, affine=False)
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(inputs, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 2608] -> the same, scores [B]."""
        return features, self.output(self.dropout(self.norm(features))).squeeze(1)


class Probabilities(nn.Module):
    """A network whose log-odds are given out as probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures -> features [B, F], probabilities [B, T]."""
        features, log_odds = self.network(images)
        return features, torch.sigmoid(log_odds)
