"""Operations on tags, and what a revoke tells each image: frozen events, checked on arrival."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Self, TypeAlias

from pydantic import AfterValidator, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from models.tagging.examples import OperationKind
from stream.events.base import MAX_TAGS_PER_EVENT, Event, ImageId, Name

MAX_IMAGES_PER_SPLIT = 1_000  # that many ids of 256 characters fit in one record, whatever the alphabet
MAX_SOURCE_CHARS = 2_000  # as of the source of an event


BEFORE_ALL_MS = -(2**63)  # the log takes any time
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _is_time(text: str) -> str:
    try:
        if not text or datetime.fromisoformat(text).tzinfo is not None:
            return text
    except ValueError:
        pass
    raise PydanticCustomError("time", "expected RFC 3339, e.g. 2026-11-21T12:00:00Z; correct it or leave it out")


Since: TypeAlias = Annotated[str, Field(max_length=40), AfterValidator(_is_time)]

# By kind: fewest and most tags, the other fields it needs, and the same in words.
OPERATION_RULES: dict[OperationKind, tuple[int, int, set[str], str]] = {
    "merge": (1, MAX_TAGS_PER_EVENT, {"into"}, "one tag or more, and into"),
    "split": (1, 1, {"into", "images"}, "one tag, into, and one image or more"),
    "rename": (1, 1, {"into"}, "one tag, and into"),
    "alias": (1, MAX_TAGS_PER_EVENT, {"into"}, "one tag or more, and into"),
    "forget": (1, MAX_TAGS_PER_EVENT, set(), "one tag or more"),
    "imply": (1, 1, {"into"}, "one tag, and into"),
    "undo": (0, 0, {"target"}, "target"),
    "revoke": (0, 0, {"said_by"}, "said_by, and since if it is not to be everything"),
}


class TagOperationPosted(Event):
    """Somebody changed the tags themselves: merged, split, renamed, forgot them, or took such an operation back."""

    type: ClassVar[str] = "mekiki.tags.operation.v1"
    topic: ClassVar[str] = "operations"

    operation_id: Name = Field(description="names the operation, for undo; a repeated one changes nothing")
    kind: OperationKind
    tags: tuple[str, ...] = Field((), max_length=MAX_TAGS_PER_EVENT, description="the tags operated on")
    into: str = Field("", description="the tag that results, is meant by an alias, or is implied")
    images: tuple[ImageId, ...] = Field((), max_length=MAX_IMAGES_PER_SPLIT, description="the images a split moves")
    target: str = Field("", max_length=256, description="the operation_id that an undo takes back")
    said_by: str = Field("", max_length=MAX_SOURCE_CHARS, description="whose tags a revoke takes back: by, or source")
    since: Since = Field("", description="a revoke takes back what was said from then on, RFC 3339")
    by: str | None = Field(None, max_length=256)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        fewest, most, needed, rule = OPERATION_RULES[self.kind]
        given = {name for name in ("into", "images", "target", "said_by") if getattr(self, name)}
        astray = self.since and self.kind != "revoke"
        if not fewest <= len(self.tags) <= most or given != needed or astray:
            raise PydanticCustomError(
                "operation",
                "{kind}: expected {rule}, nothing else; correct the event",
                {"kind": self.kind, "rule": rule},
            )
        return self


class TagsRevoked(Event):
    """What one tagger said of a picture is taken back, as if it had never been said; or given back, to the letter."""

    type: ClassVar[str] = "mekiki.tags.revoked.v1"
    topic: ClassVar[str] = "images"

    image_id: ImageId
    revocation: Name = Field(description="operation_id of the revoke that this belongs to, for undo")
    said_by: str = Field(min_length=1, max_length=MAX_SOURCE_CHARS, description="whose tags: by, or source")
    since: Since = Field("", description="only those said from then on, RFC 3339")
    undo: StrictBool = Field(False, description="give back what this revocation took from the picture")
    by: str | None = Field(None, max_length=256)

    @property
    def since_ms(self) -> int:
        """The first ms since 1970 that is meant."""
        return since_ms(self.since)


def since_ms(since: str) -> int:
    """The first ms since 1970 that is not before this time; of no time, before all others."""
    return -((EPOCH - datetime.fromisoformat(since)) // timedelta(milliseconds=1)) if since else BEFORE_ALL_MS
