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
        "in_force": True, "images_moved": 0,
    }})  # fmt: skip
    operation_id: str
    kind: str
    tags: list[str]
    into: str
    outcome: str = Field(description="done, undone, or why it was refused")
    in_force: bool
    images_moved: int = Field(description="by a split")


class OperationPage(BaseModel):
    """Operations on tags, newest first."""

    operations: list[OperationView]
    known: int
    tagger_version: int
