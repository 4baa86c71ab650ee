"""Encoders: pictures to vectors. base.py is the promise, load.py the door; the rest is one network, run in two ways."""

from models.encoders.base import INPUT_SIZE_PX, Encoder
from models.encoders.load import load_encoder

__all__ = ["INPUT_SIZE_PX", "Encoder", "load_encoder"]
