"""Autoencoders: a picture through a few numbers and back, so that these say what is in it.

In: pictures uint8 [B, S, S, 3] RGB. Out: the latent float32 [B, L], and what the decoder makes of it: pixels
[B, C, S, S], 0 to 1, or a frozen encoder's raw features [B, F]. Raises UsageError for a size that halves to no whole
number.

Two shapes. From 96 pixels up the deep one: four stages of 3 x 3 convolutions with pooling between, batch norm in the
deeper two, and a decoder that grows from 7 x 7 x 4 (at 112 pixels) by upsampling. Below it the small one: two strided
convolutions of 32 channels, and transposed ones back.
"""

import numpy as np
import torch
from torch import Tensor, nn

from models.encoders.base import Images, Vectors
from models.encoders.networks.pixels import Pixels
from models.errors import UsageError

DEEP_FROM_PX = 96
WIDTHS = (64, 128, 256, 512)  # of the deep shape's stages
PLAIN_STAGES = 2  # of these, the first ones, without batch norm
SEED_CHANNELS = 4  # of the map that the deep decoder grows from
SMALL_CHANNELS = 32
AT_ONCE = 256  # pictures encoded at once


class PictureEncoder(nn.Module):
    """Pictures to the latent: what is served of an autoencoder."""

    def __init__(self, *, size_px: int, latent: int, gray: bool = False) -> None:
        """Layers with random weights.

        Raises:
            UsageError: the size does not halve as often as the shape needs.
        """
        super().__init__()
        self.pixels = Pixels(gray)
        self.latent = latent
        deep = size_px >= DEEP_FROM_PX
        self.side = map_side(size_px)
        layers = _deep_stages(self.pixels.channels) if deep else _small_stages(self.pixels.channels)
        channels = WIDTHS[-1] if deep else SMALL_CHANNELS
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * self.side**2, latent))

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, S, S, 3] -> float [B, L]."""
        latent: Tensor = self.layers(self.pixels(images))
        return latent


@torch.inference_mode()
def latents_of(encoder: PictureEncoder, images: Images) -> Vectors:
    """Latents float32 [N, L] of pictures uint8 [N, S, S, 3]; the encoder is on the CPU, in inference mode."""
    return np.concatenate([encoder(part).numpy() for part in torch.split(torch.from_numpy(images), AT_ONCE)])


class Autoencoder(nn.Module):
    """An encoder with the decoder that it is trained through."""

    def __init__(self, encoder: PictureEncoder, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, S, S, 3] -> what the decoder makes of the latent."""
        made: Tensor = self.decoder(self.encoder(images))
        return made


def map_side(size_px: int) -> int:
    """Pixels on a side of the smallest map.

    Raises:
        UsageError: see PictureEncoder.
    """
    step = 2 ** len(WIDTHS) if size_px >= DEEP_FROM_PX else 4
    if not 16 <= size_px <= 224 or size_px % step:
        raise UsageError(
            f"--size {size_px}: expected a multiple of 16 from {DEEP_FROM_PX} to 224, or of 4 below; e.g. 112 or 56"
        )
    return size_px // step


def pixel_decoder(size_px: int, latent: int, *, gray: bool = False) -> nn.Module:
    """Latent [B, L] to pixels float [B, C, S, S], 0 to 1."""
    channels, side = (1 if gray else 3), map_side(size_px)
    if size_px < DEEP_FROM_PX:
        return nn.Sequential(
            nn.Linear(latent, SMALL_CHANNELS * side**2), nn.ReLU(), nn.Unflatten(1, (SMALL_CHANNELS, side, side)),
            nn.ConvTranspose2d(SMALL_CHANNELS, SMALL_CHANNELS, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
            nn.ConvTranspose2d(SMALL_CHANNELS, channels, 3, stride=2, padding=1, output_padding=1), nn.Sigmoid(),
        )  # fmt: skip
    layers: list[nn.Module] = [
        nn.Linear(latent, SEED_CHANNELS * side**2), nn.Unflatten(1, (SEED_CHANNELS, side, side)),
    ]  # fmt: skip
    inputs = SEED_CHANNELS
    for width in reversed(WIDTHS):
        layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2)]
        inputs = width
    return nn.Sequential(*layers, nn.Conv2d(inputs, channels, 3, padding=1), nn.Sigmoid())


def feature_decoder(latent: int, features: int) -> nn.Module:
    """Latent [B, L] to raw features [B, F]; linear, so that the latent holds no more than a view of these."""
    return nn.Linear(latent, features)


def _deep_stages(channels: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for number, width in enumerate(WIDTHS):
        layers.append(nn.Conv2d(channels, width, 3, padding=1))
        if number >= PLAIN_STAGES:
            layers.append(nn.BatchNorm2d(width))
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        channels = width
    return layers


def _small_stages(channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, SMALL_CHANNELS, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(SMALL_CHANNELS, SMALL_CHANNELS, 3, stride=2, padding=1), nn.ReLU(),
    ]  # fmt: skip
