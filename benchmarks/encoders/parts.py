"""Parts of N1: names alone, so that the command line imports nothing heavy."""

import enum


class Part(enum.StrEnum):
    """One part of N1; each is a key of its document."""

    ENCODERS = "encoders"
    AUTOENCODER = "autoencoder"
    TAGS = "tags"
    TASTE = "taste"
    FIT = "fit"
    BINARY = "binary"
    EXPORT = "export"
    INGEST_OVER_ENCODER = "ingest_over_encoder"
