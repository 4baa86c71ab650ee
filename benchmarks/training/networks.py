"""Which networks N1 can train: names alone, so that the command line imports nothing heavy."""

import enum


class Network(enum.StrEnum):
    """One part of N1."""

    AUTOENCODER = "autoencoder"
    TAGS = "tags"
    TASTE = "taste"
