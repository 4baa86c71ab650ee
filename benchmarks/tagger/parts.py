"""The parts of `mekiki bench tagger`."""

from __future__ import annotations

import enum


class Part(enum.StrEnum):
    """Each can be measured alone."""

    SPEED = "speed"
    QUALITY = "quality"
    FEW_SHOT = "few-shot"
