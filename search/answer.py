"""What a query asks for and what comes of it: plain data between the routes and search.query."""

from dataclasses import dataclass, field

from models.proposals import Box
from search.pages.cursor import Shown
from search.schemas import Collapse, Order, Rank, TagProbability
from stream.index.contract import Hit, Range, Terms


@dataclass(frozen=True)
class Options:
    """How the page is to be.

    Attributes:
        tags: only images that carry all of these.
        without: only images that carry none of these.
        ranges: only images within these bounds.
        terms: only images of which this is said, see Condition.terms.
        unsaid: only images of which this is not said, see Condition.unsaid.
        min_score: only results of this score or more.
        diverse: how unlike each other the results are to be, 0 to 1.
        shown: on pages before.
        objects: whether objects in pictures are looked for too.
        order: searching by a tag, whether pictures that carry it come before all others, or probability alone decides.
    """

    limit: int = 20
    rank: Rank = "similarity"
    collapse: Collapse = "exact"
    tags: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()
    terms: Terms = ()
    unsaid: tuple[Terms, ...] = ()
    min_score: float | None = None
    diverse: float = 0.0
    shown: Shown = frozenset()
    order: Order = "carried"
    objects: bool = False


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
        box: of the object that was found, in shares of the picture; None where the whole picture was.
    """

    hit: Hit
    rank_score: float | None = None
    duplicates: list[str] = field(default_factory=list)
    near_duplicate_of: str | None = None
    carries: bool = False
    above_threshold: bool | None = None
    box: Box | None = None


@dataclass(frozen=True)
class Answer:
    """Results, the versions that made them, and the cursor of the next page; None where there is none."""

    results: list[Found]
    ranker_version: int | None = None
    tagger_version: int | None = None
    cursor: str | None = None


@dataclass(frozen=True)
class Prediction:
    """Tags of one image, the most probable first, and the version that predicted them."""

    tags: list[TagProbability]
    tagger_version: int
