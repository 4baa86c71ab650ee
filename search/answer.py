"""What a query asks for and what comes of it: plain data between the routes and search.query."""

from dataclasses import dataclass, field

from search.schemas import Collapse, Order, Rank, TagProbability
from stream.index.contract import Hit


@dataclass(frozen=True)
class Options:
    """How the page is to be.

    Attributes:
        order: searching by a tag, whether pictures that carry it come before all others, or probability alone decides.
    """

    limit: int = 20
    rank: Rank = "similarity"
    collapse: Collapse = "exact"
    tags: tuple[str, ...] = ()
    order: Order = "carried"


@dataclass
class Found:
    """One result with what was collapsed into it.

    Attributes:
        hit: the image; searching by a tag, its score is the tag's probability.
        rank_score: by the ranker, where it orders the page.
        duplicates: ids of the images collapsed into this one.
        near_duplicate_of: an earlier result that looks nearly the same.
        carries: whether it comes before all that do not: searching by a tag, it carries the tag.
        above_threshold: whether the tag's probability is at or above its threshold; None where no tag was asked for.
    """

    hit: Hit
    rank_score: float | None = None
    duplicates: list[str] = field(default_factory=list)
    near_duplicate_of: str | None = None
    carries: bool = False
    above_threshold: bool | None = None


@dataclass(frozen=True)
class Answer:
    """Results, and the versions that made them."""

    results: list[Found]
    ranker_version: int | None = None
    tagger_version: int | None = None


@dataclass(frozen=True)
class Prediction:
    """Tags of one image, the most probable first, and the version that predicted them."""

    tags: list[TagProbability]
    tagger_version: int
