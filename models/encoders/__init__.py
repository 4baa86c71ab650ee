"""Encoders: pictures to vectors.

In: pictures uint8 [B, S, S, 3] RGB. Out: raw features, and unit vectors float32 [B, D] made of them. `base` is the
contract, `registry` says which encoders there are, and `load` makes one; a network (`efficientnet`, or a graph of
anybody's) says what is computed, `sessions` how it runs, `projection` makes vectors of features.
"""

from models.encoders.base import Encoder
from models.encoders.load import load_encoder
from models.encoders.registry.folders import EncoderFolders

__all__ = ["Encoder", "EncoderFolders", "load_encoder"]
