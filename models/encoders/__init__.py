"""Encoders: pictures to vectors.

In: pictures uint8 [B, 224, 224, 3] RGB. Out: unit vectors float32 [B, D]. `base` is the contract and `load` makes an
encoder; a network (efficientnet) says what is computed, `sessions` how it runs, `projection` makes vectors of features.
"""

from models.encoders.base import INPUT_SIZE_PX, Encoder
from models.encoders.load import load_encoder

__all__ = ["INPUT_SIZE_PX", "Encoder", "load_encoder"]
