"""What the search API gives, with examples for its OpenAPI page; search.routes.inputs is what it takes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stream.events.details import Described

Rank = Literal["similarity", "taste"]
Collapse = Literal["exact", "near", "none"]
Order = Literal["carried", "probability"]


class Result(Described):
    """One image of a results page."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "image_id": "1F431", "score": 0.83, "rank_score": None, "above_threshold": None, "tags": ["cat", "red"],
        "implied_tags": ["animal"], "duplicates": [], "near_duplicate_of": None, "box": [0.5, 0.25, 0.25, 0.3],
        "width_px": 224, "height_px": 224,
        "posted_at": "2026-11-21T12:00:00+00:00", "title": "Cat on a wall", "bytes_url": "/v1/images/1F431/bytes",
    }})  # fmt: skip
    image_id: str
    score: float = Field(description="inner product of unit vectors, or the tag's probability when searching by tag")
    rank_score: float | None = Field(None, description="the ranker's score, where it ordered the page")
    above_threshold: bool | None = Field(
        None, description="searching by tag: the tag's probability is at or above its threshold; null otherwise"
    )
    tags: list[str] = Field(description="applied by people, as they are called after operations on tags")
    implied_tags: list[str] = Field(description="follow from `tags` by implication; nobody applied them")
    duplicates: list[str] = Field(description="ids of images with the same bytes, collapsed into this one")
    near_duplicate_of: str | None = Field(None, description="an earlier result that looks nearly the same")
    box: tuple[float, float, float, float] | None = Field(
        None, description="left, top, width, height of the part that was found, in shares; null: the whole picture"
    )
    width_px: int
    height_px: int
    bytes_url: str


class Word(BaseModel):
    """What a word of `q`, or several that are one name, was understood as."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "text": "neko", "means": "tag", "tag": "ねこ", "how": "sound", "without": False, "nearest": [],
    }})  # fmt: skip
    text: str
    means: Literal["tag", "image", "text", "nothing"] = Field(
        description="text: words of titles, authors and metadata; nothing: it was left out of the search"
    )
    tag: str = Field(description="by its own name; empty where it means none")
    how: Literal["name", "alias", "spelling", "sound", "beginning"] | None = Field(description="it means the tag")
    without: bool
    nearest: list[str] = Field(description="names that are nearly so, where it means nothing")


class Suggestion(BaseModel):
    """A name that the end of a line may become."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "q": "cat \"red panda\"", "name": "red panda", "tag": "red panda", "images": 12,
    }})  # fmt: skip
    q: str = Field(description="the whole line with it")
    name: str
    tag: str = Field(description="what it means; another name than `name` where that is an alias")
    images: int = Field(description="that carry the tag")


class SuggestionPage(BaseModel):
    """Names that the end of a line may become, the most used first."""

    suggestions: list[Suggestion]
    tagger_version: int
    took_ms: float


class Page(BaseModel):
    """A results page."""

    results: list[Result]
    words: list[Word] = Field(default_factory=list, description="what was understood of q")
    cursor: str | None = Field(None, description="asks for the next page, in the same search; null on the last")
    impression_id: str | None = Field(None, description="name it in a click")
    ranker_version: int | None = Field(None, description="the ranker that ordered the page; null for plain similarity")
    tagger_version: int | None = Field(None, description="the tagger whose weights were the query")
    encoder_version: str
    took_ms: float


class TagProbability(BaseModel):
    """A predicted tag."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "tag": "cat", "probability": 0.91, "above_threshold": True,
    }})  # fmt: skip
    tag: str
    probability: float
    above_threshold: bool = Field(
        description="the probability is at or above the tag's threshold; false before one was learned"
    )


class Prediction(BaseModel):
    """Tags predicted for one image, best first."""

    tags: list[TagProbability]
    tagger_version: int
    took_ms: float


class ImageView(Described):
    """One image as the index holds it."""

    image_id: str
    tags: list[str] = Field(description="applied by people, as they are called after operations on tags")
    implied_tags: list[str] = Field(description="follow from `tags` by implication; nobody applied them")
    tags_as_written: list[str] = Field(description="the names they were applied with, and can be taken off with")
    complete: bool
    sha256: str
    format: str
    width_px: int
    height_px: int
    bytes: int
    encoder: str
    duplicates: list[str]
    bytes_url: str


class Waiting(BaseModel):
    """An image that events wait for: not there, or with a picture still to be decoded."""

    image_id: str
    events: int
    decoding: int = Field(0, description="how many of them are pictures that are fetched and decoded")
    partition: int = Field(description="of the oldest event, in images.v1")
    offset: int = Field(description="of the oldest event")


class WaitingPage(BaseModel):
    """Images that events wait for."""

    images: list[Waiting]
    cursor: str | None = Field(None, description="asks for the next page; null on the last")


class ImagePage(BaseModel):
    """A page of all images."""

    images: list[ImageView]
    cursor: str | None = Field(None, description="asks for the next page; null on the last")


class Ranked(BaseModel):
    """One image with the ranker's score; only differences mean something."""

    image_id: str
    score: float


class RankPage(BaseModel):
    """Images by taste, best first."""

    ranked: list[Ranked]
    ranker_version: int


class Accepted(BaseModel):
    """The event is in the log."""

    event_id: str
    detail: str | None = Field(None, description="waited for and not carried out: why, and what to do")


class Posted(Accepted):
    """The event of a picture is in the log."""

    image_id: str


class TagQuality(BaseModel):
    """How well tags are predicted: each evaluated image was predicted before it was learned; null before the first."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "images": 1472, "lrap": 0.52, "p_at_5": 0.41, "micro_ap": 0.44, "macro_ap": 0.39, "ece": 0.004,
    }})  # fmt: skip
    images: int = Field(description="images evaluated")
    lrap: float | None = Field(description="label ranking average precision: how high an image's own tags rank")
    p_at_5: float | None = Field(description="share of an image's own tags among the five most probable")
    micro_ap: float | None = Field(description="average precision over all pairs of image and tag")
    macro_ap: float | None = Field(description="mean of the tags' average precisions")
    ece: float | None = Field(description="expected calibration error: how far probabilities are from frequencies")


class Stalled(BaseModel):
    """A partition that nobody reads on."""

    topic: str
    partition: int
    offset: int = Field(description="of the first unread record")
    records: int = Field(description="unread, at least")
    seconds: float = Field(description="since the committed offset last moved, while records waited")
    readable: bool = Field(description="false: the batch there is damaged; `mekiki dlq skip` goes past it")
    said: str = Field(description="the same as a sentence")


class Status(BaseModel):
    """What runs, in which version, and how far it is."""

    images: int
    images_waited_for: int = Field(description="not there, while events for them wait; listed by /v1/waiting")
    images_with_objects: int = Field(description="whose objects were cut out; about")
    estimated: bool = Field(description="those two come from a Qdrant server, which estimates while it optimises")
    tags: int
    encoder_version: str
    tagger_version: int | None
    ranker_version: int | None
    pairs_seen: int
    quality: TagQuality | None = Field(description="of the tagger; null while none is published")
    stopped: dict[str, str] = Field(description="workers that stopped themselves, and why; `mekiki dlq resume`")
    stalled: list[Stalled] = Field(description="partitions with unread records and no progress for a minute")
    offsets: dict[str, dict[str, int]]


class Index(BaseModel):
    """How the index is kept; null: not known, or nothing that one can choose there."""

    kept_by: str = Field(description="Qdrant Edge or Qdrant server")
    collection: str
    status: str = Field(description="of a server's optimisers: green when all is indexed")
    points: int = Field(description="images and everything else that has a place; a server estimates")
    indexed: int = Field(description="vectors that are in a graph")
    quantization: str = Field(description="what a search goes through first")
    rescore: bool = Field(description="whether floats score what it finds")
    oversampling: float = Field(description="candidates for each result")
    least_candidates: int = Field(description="of each search")
    vectors_on_disk: bool | None
    shards: int | None
    replicas: int | None
    write_consistency: int | None = Field(description="replicas that have a write before it is done")


class Problem(BaseModel):
    """Every error answer: one sentence that says what, where and what to do."""

    detail: str
