"""What producers say: frozen events, checked on arrival.

In: JSON bodies or picture bytes, taken apart by `codec`. Out: one of the event classes below. A field that breaks its
rule raises SchemaError or PolicyError. Tags stay as the producer wrote them; the learner normalises names.
"""

from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from models.tagging.examples import OperationKind
from stream.events.details import Details

KEY_FIELDS = {
    "images": "image_id", "operations": "operation_id", "clicks": "session_id", "models": "model", "drift": "tag",
    "topics": "topic_id",
}  # fmt: skip
RESERVED_IDS = {"tag-operation", "tag-surgery"}  # keys of operations on tags while these stood among the tags


def _not_reserved(image_id: str) -> str:
    if image_id in RESERVED_IDS:
        raise PydanticCustomError("reserved", "expected another id: this one is kept for operations on tags")
    return image_id


Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
ImageId: TypeAlias = Annotated[Name, AfterValidator(_not_reserved)]
SessionId: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Propensity: TypeAlias = Annotated[float, Field(ge=0.0001, le=1)]  # less is no probability that anybody measured
Sha256: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]

MAX_TAGS_PER_EVENT = 1_000  # more is a mistake; the largest booru pictures carry about 300
MAX_SHOWN = 1_000  # images on one results page
MAX_IMAGES_PER_SPLIT = 1_000  # that many ids of 256 characters fit in one record, whatever the alphabet


class Event(BaseModel):
    """Common to all events: immutable, no unknown fields, `type` as CloudEvents writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: ClassVar[str]
    topic: ClassVar[str]

    def key(self) -> str:
        """Kafka key: what must stay in order together."""
        return str(getattr(self, KEY_FIELDS[self.topic]))


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
    complete: bool = Field(False, description="the tag list is exhaustive")


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
    complete: bool = Field(False, description="with these tags the picture's list is exhaustive")


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
    until: int | None = Field(None, description="only events up to this position in the log; none: all of them")


class ImageDecoded(Event):
    """A picture that took its own time is decoded, or `failure` says why not; only ingest workers write it."""

    type: ClassVar[str] = "mekiki.image.decoded.v1"
    topic: ClassVar[str] = "images"
    image_id: ImageId
    of: int = Field(description="position in the log of the event that posted it")
    failure: str = Field("", description="reason code")
    text: str = Field("", description="one sentence for people")
    vector: str = Field("", description="its embedding, int16 little endian [D] in base64, 1.0 being 32767")
    fields: dict[str, str | int] = Field(default_factory=dict, description="what the index keeps of it")


# By kind: fewest and most tags, the other fields it needs, and the same in words.
OPERATION_RULES: dict[OperationKind, tuple[int, int, set[str], str]] = {
    "merge": (1, MAX_TAGS_PER_EVENT, {"into"}, "one tag or more, and into"),
    "split": (1, 1, {"into", "images"}, "one tag, into, and one image or more"),
    "rename": (1, 1, {"into"}, "one tag, and into"),
    "alias": (1, MAX_TAGS_PER_EVENT, {"into"}, "one tag or more, and into"),
    "forget": (1, MAX_TAGS_PER_EVENT, set(), "one tag or more"),
    "imply": (1, 1, {"into"}, "one tag, and into"),
    "undo": (0, 0, {"target"}, "target"),
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
    by: str | None = Field(None, max_length=256)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        fewest, most, needed, rule = OPERATION_RULES[self.kind]
        given = {name for name in ("into", "images", "target") if getattr(self, name)}
        if not fewest <= len(self.tags) <= most or given != needed:
            raise PydanticCustomError(
                "operation",
                "{kind}: expected {rule}, nothing else; correct the event",
                {"kind": self.kind, "rule": rule},
            )
        return self


class Impression(Event):
    """A results page somebody saw."""

    type: ClassVar[str] = "mekiki.impression.v1"
    topic: ClassVar[str] = "clicks"

    impression_id: SessionId
    session_id: SessionId = "anonymous"
    shown: tuple[ImageId, ...] = Field(min_length=1, max_length=MAX_SHOWN, description="in the order shown")
    query: str | None = Field(None, max_length=2_000)
    ranker_version: int | None = Field(None, ge=0, lt=2**63)
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
        ImagePosted, ImageDeleted, TagsApplied, TagsRemoved, WaitingEnded, ImageDecoded, TagOperationPosted,
        Impression, Clicked, PairClicked, ModelPublished, TopicGrown, TagDrifted,
    )
}  # fmt: skip
