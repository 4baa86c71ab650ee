"""What producers say: frozen events, checked on arrival.

In: JSON bodies or picture bytes, taken apart by `codec`. Out: one of the event classes below. A field that breaks its
rule raises SchemaError or PolicyError. Tags stay as the producer wrote them; the learner normalises names.
"""

from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, StrictBool, StrictFloat, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from stream.events.base import MAX_TAGS_PER_EVENT as MAX_TAGS_PER_EVENT
from stream.events.base import RESERVED_IDS as RESERVED_IDS
from stream.events.base import Event as Event
from stream.events.base import ImageId as ImageId
from stream.events.base import Version, WholeNumber
from stream.events.details import Details
from stream.events.mistakes import SHA256
from stream.events.operations import TagOperationPosted as TagOperationPosted
from stream.events.operations import TagsRevoked as TagsRevoked

SessionId: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Propensity: TypeAlias = Annotated[StrictFloat, Field(ge=0.0001, le=1)]  # less is no probability that anybody measured
Sha256: TypeAlias = Annotated[str, StringConstraints(pattern=SHA256, to_lower=True)]

MAX_SHOWN = 1_000  # images on one results page


class ImagePosted(Details, Event):
    """A picture arrived: its bytes inline, or a `dataref` with the sha256 of what is there (claim check)."""

    type: ClassVar[str] = "mekiki.image.posted.v1"
    topic: ClassVar[str] = "images"

    image_id: ImageId
    content: bytes | None = Field(None, exclude=True, repr=False, description="picture bytes; not part of JSON bodies")
    media_type: str | None = Field(None, max_length=100)
    dataref: str | None = Field(None, max_length=2_000, description="file: or https: URL of the bytes")
    sha256: Sha256 | None = None
    tags: tuple[str, ...] = Field((), max_length=MAX_TAGS_PER_EVENT)
    complete: StrictBool = Field(False, description="the tag list is exhaustive")


class ImageDeleted(Event):
    """Take a picture down everywhere: index, stored bytes, everything learned from it."""

    type: ClassVar[str] = "mekiki.image.deleted.v1"
    topic: ClassVar[str] = "images"

    image_id: ImageId


class TagsApplied(Event):
    """Somebody tagged a picture; it waits for a picture that is not there yet."""

    type: ClassVar[str] = "mekiki.tags.applied.v1"
    topic: ClassVar[str] = "images"

    image_id: ImageId
    tags: tuple[str, ...] = Field(max_length=MAX_TAGS_PER_EVENT)
    by: str | None = Field(None, max_length=256)
    complete: StrictBool = Field(False, description="with these tags the picture's list is exhaustive")


class TagsRemoved(Event):
    """Somebody took tags off a picture."""

    type: ClassVar[str] = "mekiki.tags.removed.v1"
    topic: ClassVar[str] = "images"

    image_id: ImageId
    tags: tuple[str, ...] = Field(min_length=1, max_length=MAX_TAGS_PER_EVENT)
    by: str | None = Field(None, max_length=256)


class WaitingEnded(Event):
    """No longer wait for a picture: what waits for it becomes dead letters. By an operator, or where too many wait."""

    type: ClassVar[str] = "mekiki.waiting.ended.v1"
    topic: ClassVar[str] = "images"

    image_id: ImageId
    until: WholeNumber | None = Field(None, description="only events up to this position in the log; none: all of them")


class ImageDecoded(Event):
    """A picture that took its own time is decoded, or `failure` says why not; only ingest workers write it."""

    type: ClassVar[str] = "mekiki.image.decoded.v1"
    topic: ClassVar[str] = "images"
    image_id: ImageId
    of: WholeNumber = Field(description="position in the log of the event that posted it")
    failure: str = Field("", description="reason code")
    text: str = Field("", description="one sentence for people")
    vector: str = Field("", description="its embedding, int16 little endian [D] in base64, 1.0 being 32767")
    fields: dict[str, str | int] = Field(default_factory=dict, description="what the index keeps of it")


class Impression(Event):
    """A results page somebody saw."""

    type: ClassVar[str] = "mekiki.impression.v1"
    topic: ClassVar[str] = "clicks"

    impression_id: SessionId
    session_id: SessionId = "anonymous"
    shown: tuple[ImageId, ...] = Field(min_length=1, max_length=MAX_SHOWN, description="in the order shown")
    query: str | None = Field(None, max_length=2_000)
    ranker_version: Version | None = None
    propensities: tuple[Propensity, ...] | None = Field(
        None, description="probability that each position was examined, same length as shown"
    )

    @model_validator(mode="after")
    def _one_for_each(self) -> Self:
        if self.propensities is not None and len(self.propensities) != len(self.shown):
            raise PydanticCustomError(
                "propensities",
                "{found} propensities: expected {wanted}, one for each picture shown",
                {"found": len(self.propensities), "wanted": len(self.shown)},
            )
        return self


class Clicked(Event):
    """A click on a picture of an impression."""

    type: ClassVar[str] = "mekiki.clicked.v1"
    topic: ClassVar[str] = "clicks"

    impression_id: SessionId
    session_id: SessionId = "anonymous"
    image_id: ImageId


class PairClicked(Event):
    """Of two pictures, somebody preferred one."""

    type: ClassVar[str] = "mekiki.pair.clicked.v1"
    topic: ClassVar[str] = "clicks"

    session_id: SessionId = "anonymous"
    preferred: ImageId
    over: ImageId


class ModelPublished(Event):
    """A model that may serve from now on; compacted by model name."""

    type: ClassVar[str] = "mekiki.model.published.v1"
    topic: ClassVar[str] = "models"

    model: Literal["tagger", "ranker"]
    version: int
    uri: str
    sha256: Sha256
    base_uris: tuple[str, ...] = Field((), description="for a delta: the whole version that it applies to")
    offsets: dict[str, int] = Field(default_factory=dict, description="log positions the model has seen")


class TopicGrown(Event):
    """A topic has more partitions from here on: said once to everybody, and as a mark in each of those before."""

    type: ClassVar[str] = "mekiki.topic.grown.v1"
    topic: ClassVar[str] = "topics"

    topic_id: str = Field(description="of the topic that grew, as the broker names it; compacted by it")
    partitions: tuple[int, ...] = Field(min_length=2, description="how many it had, one number for each time it grew")


class TagDrifted(Event):
    """People began to use a tag otherwise than before: what the learner predicts for it fits worse."""

    type: ClassVar[str] = "mekiki.tag.drifted.v1"
    topic: ClassVar[str] = "drift"

    tag: str
    learned: int = Field(description="records the learner had seen; with the tag it names the drift")
    loss_before: float = Field(description="mean |truth - probability| until then")
    loss_after: float = Field(description="and since the change")


EVENTS: dict[str, type[Event]] = {
    event.type: event
    for event in (
        ImagePosted, ImageDeleted, TagsApplied, TagsRemoved, TagsRevoked, WaitingEnded, ImageDecoded,
        TagOperationPosted, Impression, Clicked, PairClicked, ModelPublished, TopicGrown, TagDrifted,
    )
}  # fmt: skip
