"""Bytes of a picture to the numbers a network begins with, as part of the network: a graph needs nothing around it.

In: uint8 [B, S, S, 3] RGB. Out: float32 [B, C, S, S], 0 to 1, C of 3, or 1 where colours are left out. Nothing fails.
"""

from torch import Tensor, nn

LUMA = (0.299, 0.587, 0.114)  # of red, green, blue: ITU-R BT.601, as OpenCV's own gray


class Pixels(nn.Module):
    """See the module."""

    def __init__(self, gray: bool = False) -> None:
        super().__init__()
        self.gray = gray
        self.channels = 1 if gray else 3

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, S, S, 3] -> float32 [B, C, S, S]."""
        x = images.permute(0, 3, 1, 2).float() * (1.0 / 255.0)
        if self.gray:
            red, green, blue = (x[:, number : number + 1] * weight for number, weight in enumerate(LUMA))
            x = red + green + blue
        return x
