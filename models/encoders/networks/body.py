"""EfficientNet-Lite0 cut in two: blocks that stay as they are, and the last ones, which are trained on.

In: pictures uint8 [B, 224, 224, 3]. Out: the 2,608 raw features float [B, 2608], in the order of the whole network.
What comes out of the frozen blocks is computed once for each picture and kept: training then needs a fifth of the
whole network's work. Nothing fails but what `load_network` raises.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.encoders.efficientnet.network import EfficientNetLite, MBConv
from models.encoders.efficientnet.outputs import LITE0

FEATURES = sum(LITE0.parts)
FIRST_TRAINED = 14  # block of 0..15; the input of those after 10 has 7 x 7 pixels
MAP_SHAPE = (192, 7, 7)  # what block 13 gives
FROZEN_TAPS = 2 * 40 + 2 * 112  # features read off before it: means and deviations of blocks 4 and 10
LEAST_VARIANCE = 1e-12  # the slope of a square root at 0 is infinite, and a blank picture has no variance


class FrozenBlocks(nn.Module):
    """The first fourteen blocks."""

    def __init__(self, network: EfficientNetLite) -> None:
        super().__init__()
        self.conv_stem, self.bn0 = network.conv_stem, network.bn0
        self.blocks = nn.ModuleList(list(network.blocks)[:FIRST_TRAINED])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [B, 224, 224, 3] -> the features read off here [B, 304], and the map [B, 192, 7, 7]."""
        x = (images.permute(0, 3, 1, 2).to(self.conv_stem.weight.dtype) - 127.0) * (1.0 / 128.0)
        x = F.relu6(self.bn0(self.conv_stem(x)))
        taps = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in LITE0.read_blocks:
                taps += _mean_and_deviation(x)
        return torch.cat(taps, dim=1), x


class LastBlocks(nn.Module):
    """The last two blocks and the head; batch norms keep the statistics of ImageNet also while training."""

    def __init__(self, network: EfficientNetLite) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(list(network.blocks)[FIRST_TRAINED:])
        self.conv_head, self.bn1 = network.conv_head, network.bn1

    def train(self, mode: bool = True) -> "LastBlocks":
        """As any module, but for the batch norms: a batch of the last blocks alone is too small a sample."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, taps: Tensor, feature_map: Tensor) -> Tensor:
        """What `FrozenBlocks` gave -> raw features [B, 2608]."""
        x, late = feature_map, []
        for block in self.blocks:
            assert isinstance(block, MBConv)
            x = block(x)
            late += _mean_and_deviation(x)
        head = F.relu6(self.bn1(self.conv_head(x))).float().mean(dim=(2, 3))
        return torch.cat([head, taps, *late], dim=1)


class HeadedBody(nn.Module):
    """Last blocks with a head on their features: what is trained, from kept maps."""

    def __init__(self, last: LastBlocks, head: nn.Module) -> None:
        super().__init__()
        self.last = last
        self.head = head

    def forward(self, taps: Tensor, feature_map: Tensor) -> tuple[Tensor, Tensor]:
        """What `FrozenBlocks` gave -> the head's features [B, F] and what it says [B, ...]."""
        features, said = self.head(self.last(taps, feature_map))
        return features, said


class WholeBody(nn.Module):
    """Frozen blocks, last blocks and head: what is served, from pictures."""

    def __init__(self, frozen: FrozenBlocks, headed: HeadedBody) -> None:
        super().__init__()
        self.frozen = frozen
        self.headed = headed

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [B, 224, 224, 3] -> the head's features [B, F] and what it says [B, ...]."""
        features, said = self.headed(*self.frozen(images))
        return features, said


def _mean_and_deviation(x: Tensor) -> list[Tensor]:
    x = x.float()
    mean = x.mean(dim=(2, 3))
    variance = (x - mean[:, :, None, None]).square().mean(dim=(2, 3))
    return [mean, (variance + LEAST_VARIANCE).sqrt()]
