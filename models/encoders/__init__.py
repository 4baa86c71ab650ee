"""Encoders: pictures to vectors. base.py is the promise; the rest is one network and two ways to run it."""

from models.encoders.base import INPUT_SIZE_PX, Encoder, load_encoder

__all__ = ["INPUT_SIZE_PX", "Encoder", "load_encoder"]
