"""What the search API takes as JSON: the events of the log, as far as a request says them."""

import uuid
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from stream.events.schema import MAX_TAGS_PER_EVENT, ImageId, ImagePosted, Impression, SessionId


def _without_content(schema: dict[str, Any]) -> None:
    del schema["properties"]["content"]


class ImageIn(ImagePosted):
    """A picture that is elsewhere, as in the log."""

    model_config = ConfigDict(json_schema_extra=_without_content)
    content: None = Field(None, exclude=True)
    dataref: str = Field(max_length=2_000, description="file: or https: URL of the bytes")


class TagsIn(BaseModel):
    """Tags for a picture, as in the log."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"tags": ["cat"], "by": "user-7"}})
    tags: Annotated[tuple[str, ...], Field(max_length=MAX_TAGS_PER_EVENT)]
    by: str | None = Field(None, max_length=256)
    complete: StrictBool = Field(False, description="with these tags the picture's list is exhaustive")


class ImpressionIn(Impression):
    """A results page somebody saw, shown by a page of yours; as in the log, but for an id that may be left out."""

    model_config = ConfigDict(json_schema_extra={"example": {"session_id": "s1", "shown": ["1F431", "1F436"]}})
    impression_id: SessionId = Field(default_factory=lambda: str(uuid.uuid4()))


class RankIn(BaseModel):
    """Images to order."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"image_ids": ["1F431", "1F436"]}})
    image_ids: Annotated[list[ImageId], Field(min_length=1, max_length=1000)]


class SessionIn(BaseModel):
    """A key, to be had as a cookie."""

    model_config = ConfigDict(extra="forbid")
    key: str = Field(min_length=1, max_length=1_000)
