"""What is said of a picture beside its tags: title, source, author, and metadata of any name.

In: what producers send. Out: the types of these fields, and how answers show them. A value that breaks its rule is
refused with the event that says it.
"""

import json
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictFloat, StrictInt, StrictStr, StringConstraints
from pydantic_core import PydanticCustomError

from stream.events.mistakes import TEXT, WEB_URL

Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=TEXT)]
WebUrl: TypeAlias = Annotated[str, StringConstraints(max_length=2_000, pattern=WEB_URL)]
Whole: TypeAlias = Annotated[StrictInt, Field(ge=-(2**63), le=2**63 - 1)]  # what the index keeps
Number: TypeAlias = Annotated[StrictFloat, Field(allow_inf_nan=False)]
MetadataName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=TEXT)]
MetadataValue: TypeAlias = StrictBool | Whole | Number | StrictStr | None
MAX_METADATA_BYTES = 8_000  # of its JSON: it travels with every result


def _small(metadata: dict[str, MetadataValue]) -> dict[str, MetadataValue]:
    size = len(json.dumps(metadata, ensure_ascii=False).encode())
    if size > MAX_METADATA_BYTES:
        raise PydanticCustomError(
            "metadata",
            "{size} bytes of JSON: expected at most {most}; keep what is longer elsewhere",
            {"size": size, "most": MAX_METADATA_BYTES},
        )
    return metadata


Metadata: TypeAlias = Annotated[dict[MetadataName, MetadataValue], Field(max_length=50), AfterValidator(_small)]


class Details(BaseModel):
    """As an event says it."""

    title: Text | None = None
    source_url: WebUrl | None = Field(None, description="http(s) URL of where the picture comes from")
    author: Text | None = None
    metadata: Metadata = Field(default_factory=dict, description="anything else: names with one plain value each")


class Described(BaseModel):
    """As an answer shows it."""

    posted_at: str = Field(description="when the picture came first")
    title: str = Field("", description="empty where nobody said; likewise source_url and author")
    source_url: str = ""
    author: str = ""
    metadata: dict[str, MetadataValue] = Field(default_factory=dict, description="what else its producer said")
