"""The parts of `mekiki bench tagger`."""

import enum


class Part(enum.StrEnum):
    """Each can be measured alone."""

    SPEED = "speed"
    QUALITY = "quality"
    FEW_SHOT = "few-shot"
