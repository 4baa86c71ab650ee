"""What the API says of objects in a picture."""

from typing import Literal

from pydantic import BaseModel, Field

from search.schemas import TagProbability


class ObjectView(BaseModel):
    """A part of a picture."""

    box: tuple[float, float, float, float] = Field(description="left, top, width, height in shares of the picture")
    tags: list[TagProbability] = Field(description="at or above their thresholds, the most probable first")
    vouched: float = Field(
        description="share of the most similar pictures, weighted by similarity, that carry the first tag"
    )


class ObjectPage(BaseModel):
    """What can be seen in a picture, the best vouched for first."""

    objects: list[ObjectView]
    state: Literal["there", "coming", "off"] = Field(
        description="coming: the picture's objects are not cut out yet; off: MEKIKI_OBJECTS__PER_IMAGE is 0"
    )
    tagger_version: int | None
    took_ms: float
