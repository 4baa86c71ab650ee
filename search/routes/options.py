"""The query parameters that all searches have: which images, how many, in which order.

In: a request. Out: `Options`; `Filters` for what is listed. Raises UsageError for what cannot be asked.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal, NamedTuple, TypeAlias

from fastapi import Depends, Query
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from models.errors import UsageError
from search import schemas
from search.answer import Options
from search.pages.cursor import MOST_CHARS as MOST_CURSOR_CHARS
from search.pages.cursor import read_cursor
from search.routes.parameters import Pair, Running, name_and_value
from stream.events.schema import ImageId
from stream.index.contract import Range, Terms
from stream.index.terms import author_terms, metadata_terms, source_terms, title_terms

MOST_TAGS = 20  # of a filter
MOST_CHARS = 200  # of words to look for
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


Time = Annotated[datetime | None, BeforeValidator(_time), Query(description="RFC 3339; itself included")]
Px = Annotated[int | None, Query(ge=1, le=1_000_000)]
Like = Annotated[list[ImageId], Query(max_length=MOST_EXAMPLES, description="ids of images; may be repeated")]


class Filters(NamedTuple):
    """Which images: the fields of `Options` under their names."""

    tags: tuple[str, ...]
    without: tuple[str, ...]
    ranges: tuple[Range, ...]
    terms: Terms

    def options(self) -> Options:
        """Of what is not ordered."""
        return Options(tags=self.tags, without=self.without, ranges=self.ranges, terms=self.terms)


async def filters(
    with_tags: With = [],  # noqa: B006 - FastAPI copies it
    without: Without = [],  # noqa: B006
    title: Annotated[str | None, Query(max_length=MOST_CHARS, description="words that its title has")] = None,
    author: Annotated[str | None, Query(max_length=MOST_CHARS, description="words that its author's name has")] = None,
    source_url: Annotated[
        str | None, Query(min_length=1, max_length=2_000, description="where it comes from: the URL, or its host")
    ] = None,
    metadata: Annotated[
        list[Pair], Query(max_length=MOST_TAGS, description="NAME=VALUE that was said of it; may be repeated")
    ] = [],  # noqa: B006
    posted_after: Time = None,
    posted_before: Time = None,
    min_width: Px = None,
    min_height: Px = None,
    aspect: Literal["landscape", "portrait", "square"] | None = None,
) -> Filters:
    """The query parameters that say which images are meant.

    Raises:
        UsageError: words that are none.
    """
    bounds = [
        Range("posted_s", _seconds(posted_after), _seconds(posted_before)),
        Range("width_px", min_width),
        Range("height_px", min_height),
        ASPECTS.get(aspect or "", Range("aspect")),
    ]
    ranges = tuple(bound for bound in bounds if (bound.low, bound.high) != (None, None))
    groups = [*_words("title", title, title_terms), *_words("author", author, author_terms)]
    groups += source_terms(source_url) if source_url else ()
    for one in metadata:
        groups += metadata_terms(*name_and_value(one))
    return Filters(tuple(with_tags), tuple(without), ranges, tuple(groups))


def _words(field: str, text: str | None, read: Callable[[str], Terms]) -> Terms:
    terms = read(text) if text is not None else ()
    if text is not None and not terms:
        raise UsageError(f"{field} {text[:100]!r}: expected a word or more; give letters or digits, or leave it out")
    return terms


async def options(
    running: Running,
    which: Annotated[Filters, Depends(filters)],
    limit: Annotated[int, Query(ge=1, le=1_000, description="results wanted; the settings may allow fewer")] = 20,
    rank: schemas.Rank = "similarity",
    collapse: schemas.Collapse = "exact",
    tags: Tags = [],  # noqa: B006 - FastAPI copies it
    min_score: Annotated[
        float | None, Query(ge=-1, le=1, description="of similarity, or of a tag: probability")
    ] = None,
    diverse: Annotated[float, Query(ge=0, le=1, description="how unlike each other the results are to be")] = 0.0,
    cursor: Annotated[
        str,
        Query(pattern="^[A-Za-z0-9_-]*$", max_length=MOST_CURSOR_CHARS, description="of the page before, same search"),
    ] = "",
) -> Options:
    """The common query parameters of searches.

    Raises:
        UsageError: more results than the service gives.
    """
    most = running.settings.serve.max_limit
    if limit > most:
        raise UsageError(f"limit {limit}: expected at most {most}; ask for fewer results, and go on with the cursor")
    return replace(
        which.options(), limit=limit, rank=rank, collapse=collapse, tags=(*which.tags, *tags), min_score=min_score,
        diverse=diverse, shown=read_cursor(cursor),
    )  # fmt: skip


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


Asked = Annotated[Options, Depends(options)]
Which = Annotated[Filters, Depends(filters)]
