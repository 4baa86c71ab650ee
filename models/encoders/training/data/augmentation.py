"""The same picture as it might have come as well: mirrored, moved, scaled, turned, in other colours.

In: pictures uint8 [B, S, S, 3]. Out: likewise, white where nothing is known. Nothing fails.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

MOVED, SCALED, TURNED = 0.15, 0.2, 0.15  # at most: of half a side, of the logarithm of the size, radians
COLOURED = 0.3  # how much darker or lighter than white each channel may be, at most


def augmented(images: Tensor, chance: np.random.Generator) -> Tensor:
    """Each picture changed by chance, on its device."""
    count = len(images)
    scale = np.exp(chance.uniform(-SCALED, SCALED, count))
    angle = chance.uniform(-TURNED, TURNED, count)
    mirrored = chance.choice((-1.0, 1.0), count)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    move = chance.uniform(-MOVED, MOVED, (2, count))
    maps = np.stack([[mirrored * cosine, -sine, move[0]], [mirrored * sine, cosine, move[1]]]).transpose(2, 0, 1)
    gains = chance.uniform(1 - COLOURED, 1 + COLOURED, (count, 3, 1, 1))
    affine, gain = (torch.from_numpy(part.astype(np.float32)).to(images.device) for part in (maps, gains))
    ink = 255 - images.permute(0, 3, 1, 2).float()  # zero, as what lies outside, is white
    grid = F.affine_grid(affine, list(ink.shape), align_corners=False)
    ink = F.grid_sample(ink, grid, align_corners=False) * gain
    return (255 - ink).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
