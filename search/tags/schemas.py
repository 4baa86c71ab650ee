"""What the search API gives of tags and operations on them, with examples for its OpenAPI page."""

from pydantic import BaseModel, ConfigDict, Field

from search.schemas import TagQuality


class TagView(BaseModel):
    """One tag the learner knows."""

    name: str
    count: int = Field(description="images that carry it, by themselves or because a tag of theirs implies it")
    tagged: int = Field(description="those that carry it by themselves")
    first_seen: int = Field(description="log position of its first use")
    quality: float | None = Field(description="running average precision, each image predicted before it was learned")
    drift: int = Field(description="drift events so far")
    threshold: float | None = Field(description="probability from which on predicting it has maximised F1 so far")


class TagDetail(TagView):
    """One tag, what is called by it and what goes with it."""

    aliases: list[str] = Field(description="other names that mean it")
    implies: list[str] = Field(description="what follows from it, the nearest first")
    implied_by: list[str] = Field(description="what it follows from, the nearest first")


class TagPage(BaseModel):
    """Tags by number of images."""

    tags: list[TagView]
    known: int
    quality: TagQuality = Field(description="over all tags")
    tagger_version: int


class OperationView(BaseModel):
    """What came of one operation on tags."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "operation_id": "op-1", "kind": "merge", "tags": ["kitty", "moggy"], "into": "cat", "outcome": "done",
        "in_force": True, "images_moved": 0, "by": "user-7", "time": "2026-11-21T12:00:00+00:00", "said_by": "",
        "since": "",
    }})  # fmt: skip
    operation_id: str
    kind: str
    tags: list[str]
    into: str
    outcome: str = Field(description="done, undone, or why it was refused")
    in_force: bool
    images_moved: int = Field(description="by a split")
    by: str = Field(description="who asked for it: by, or source of the event")
    time: str = Field(description="when, RFC 3339; empty if that is not known")
    said_by: str = Field(description="whose tags a revoke takes back")
    since: str = Field(description="only those said from then on; empty for all")


class OperationPage(BaseModel):
    """Operations on tags, newest first."""

    operations: list[OperationView]
    known: int
    tagger_version: int


class SaidOf(BaseModel):
    """A picture of which somebody said tags."""

    image_id: str
    tags: list[str] = Field(description="as they were written")
    alone: list[str] = Field(description="those of them that nobody else said")


class SaidPage(BaseModel):
    """Those of a page of pictures of which somebody said tags; pages may be empty before the last."""

    images: list[SaidOf]
    cursor: str | None = Field(None, description="asks for the next page; null on the last")
