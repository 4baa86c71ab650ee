"""What all events have in common, and the names in them."""

from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from stream.events.mistakes import NAME

KEY_FIELDS = {
    "images": "image_id", "operations": "operation_id", "clicks": "session_id", "models": "model", "drift": "tag",
    "topics": "topic_id",
}  # fmt: skip
RESERVED_IDS = {"tag-operation", "tag-surgery"}  # keys of operations on tags while these stood among the tags


def _not_reserved(image_id: str) -> str:
    if image_id in RESERVED_IDS:
        raise PydanticCustomError("reserved", "expected another id: this one is kept for operations on tags")
    return image_id


Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=NAME)]
ImageId: TypeAlias = Annotated[Name, AfterValidator(_not_reserved)]


def _number(value: Any) -> Any:
    if isinstance(value, (str, bytes, bool)):
        raise PydanticCustomError("whole_number", "expected a whole number, found {found}", {"found": repr(value)[:40]})
    return value


WholeNumber: TypeAlias = Annotated[int, BeforeValidator(_number)]  # as in JSON schema: 5 and 5.0, not "5" and true
Version: TypeAlias = Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(_number)]
MAX_TAGS_PER_EVENT = 1_000  # more is a mistake; the largest booru pictures carry about 300


class Event(BaseModel):
    """Common to all events: immutable, no unknown fields, `type` as CloudEvents writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: ClassVar[str]
    topic: ClassVar[str]

    def key(self) -> str:
        """Kafka key: what must stay in order together."""
        return str(getattr(self, KEY_FIELDS[self.topic]))
