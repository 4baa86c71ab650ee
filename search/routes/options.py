"""The query parameters that all searches have: which images, how many, in which order.

In: a request. Out: `Options`. Raises UsageError for what the settings do not allow.
"""

import re
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from fastapi import Depends, Query
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from models.errors import UsageError
from search import schemas
from search.answer import Options
from search.pages.cursor import MOST_CHARS, read_cursor
from search.routes.parameters import Running
from stream.events.schema import ImageId
from stream.index.contract import Range

MOST_TAGS = 20  # of a filter
MOST_EXAMPLES = 50
SQUARE = 1.05  # a picture whose sides differ by less is square to the eye
ASPECTS: dict[str, Range] = {
    "landscape": Range("aspect", SQUARE, None),
    "portrait": Range("aspect", None, 1 / SQUARE),
    "square": Range("aspect", 1 / SQUARE, SQUARE),
}
Names: TypeAlias = list[str]
With = Annotated[
    Names,
    Query(alias="with", max_length=MOST_TAGS, description="only images that carry all of these, whatever their name"),
]
Tags = Annotated[Names, Query(alias="tags", max_length=MOST_TAGS, deprecated=True, description="the same as with")]
Without = Annotated[Names, Query(max_length=MOST_TAGS, description="only images that carry none of these")]
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _time(text: object) -> object:
    if isinstance(text, str) and not _RFC_3339.fullmatch(text):
        raise PydanticCustomError("time", "expected RFC 3339, e.g. 2026-11-21T12:00:00Z; correct it")
    return text


Posted = Annotated[datetime | None, BeforeValidator(_time), Query(description="RFC 3339; itself included")]
Px = Annotated[int | None, Query(ge=1, le=1_000_000)]
Like = Annotated[list[ImageId], Query(max_length=MOST_EXAMPLES, description="ids of images; may be repeated")]


async def options(
    running: Running,
    limit: Annotated[int, Query(ge=1, le=1_000, description="results wanted; the settings may allow fewer")] = 20,
    rank: schemas.Rank = "similarity",
    collapse: schemas.Collapse = "exact",
    with_tags: With = [],  # noqa: B006 - FastAPI copies it
    tags: Tags = [],  # noqa: B006
    without: Without = [],  # noqa: B006
    posted_after: Posted = None,
    posted_before: Posted = None,
    min_score: Annotated[
        float | None, Query(ge=-1, le=1, description="of similarity, or of a tag: probability")
    ] = None,
    min_width: Px = None,
    min_height: Px = None,
    aspect: Literal["landscape", "portrait", "square"] | None = None,
    diverse: Annotated[float, Query(ge=0, le=1, description="how unlike each other the results are to be")] = 0.0,
    cursor: Annotated[
        str, Query(pattern="^[A-Za-z0-9_-]*$", max_length=MOST_CHARS, description="of the page before, same search")
    ] = "",
) -> Options:
    """The common query parameters.

    Raises:
        UsageError: more results than the service gives.
    """
    most = running.settings.serve.max_limit
    if limit > most:
        raise UsageError(f"limit {limit}: expected at most {most}; ask for fewer results, and go on with the cursor")
    bounds = [
        Range("posted_s", _seconds(posted_after), _seconds(posted_before)),
        Range("width_px", min_width),
        Range("height_px", min_height),
        ASPECTS.get(aspect or "", Range("aspect")),
    ]
    ranges = tuple(bound for bound in bounds if (bound.low, bound.high) != (None, None))
    wanted = (*with_tags, *tags)
    return Options(limit, rank, collapse, wanted, tuple(without), ranges, min_score, diverse, read_cursor(cursor))


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


Asked = Annotated[Options, Depends(options)]
