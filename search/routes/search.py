"""Search by words, examples, picture, id or tag, and images in the order of taste."""

import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from models.errors import InfrastructureError, UsageError
from search import schemas, views
from search.answer import Answer, Options
from search.routes.inputs import RankIn
from search.routes.options import Asked, Like
from search.routes.parameters import IMAGE_BODY, PROBLEMS, ImageIdPath, Part, Picture, Running, Session
from search.service import Service
from search.words.examples import between
from search.words.fit import TagFit
from search.words.suggest import suggest
from search.words.understand import Understood, understand
from stream.events.schema import Impression
from stream.index.contract import Condition, Terms
from stream.index.payload import Vector

log = logging.getLogger(__name__)

IMPRESSION_S = 2.0
MOST_QUERY_CHARS = 2_000  # of an impression
MOST_CHARS = 1_000  # of a line of words
MOST_WORDS = 50  # in it
TYPICAL = 100  # pictures with words that no tag is, of which the others are to be like

Objects = Annotated[
    bool | None, Query(description="whether objects in pictures are found too; left out: where a crop is given")
]
router = APIRouter(responses=PROBLEMS, tags=["search"])
Line = Annotated[
    str, Query(max_length=MOST_CHARS, description='words: tags, words of titles, "one name", -without, tag:, like:ID')
]


@router.get("/v1/search")
def search_by_words_and_examples(
    running: Running,
    asked: Asked,
    q: Line = "",
    like: Like = [],  # noqa: B006 - FastAPI copies it
    unlike: Like = [],  # noqa: B006
    order: Annotated[schemas.Order, Query(description="carried: images that carry all tags come first")] = "carried",
    session_id: Session = None,
) -> schemas.Page:
    """Images that words mean, images like some of the index and unlike others, or both."""
    started_s = time.perf_counter()
    found = _understood(running, q) if q else Understood(())
    like = running.ids_of([*found.examples(), *like])
    unlike = running.ids_of([*found.examples(without=True), *unlike])
    options = replace(
        asked, order=order, without=(*asked.without, *found.tags(without=True)),
        terms=(*asked.terms, *(group for terms in found.terms() for group in terms)), unsaid=found.terms(without=True),
    )  # fmt: skip
    answer = _answer(running, found, like, unlike, options)
    said = " ".join([q, *(f"like:{i}" for i in like), *(f"unlike:{i}" for i in unlike)]).strip()
    return _page(running, answer, started_s, said, session_id, words=views.words(found))


@router.get("/v1/suggest")
def suggest_names(
    running: Running, q: Line, limit: Annotated[int, Query(ge=1, le=100, description="names wanted")] = 10
) -> schemas.SuggestionPage:
    """Names of tags that the end of a line may become."""
    started_s = time.perf_counter()
    found = suggest(q, running.vocabulary(), limit)
    return schemas.SuggestionPage(
        suggestions=[views.suggestion(one) for one in found],
        tagger_version=running.searcher.tagger().snapshot.version,
        took_ms=round((time.perf_counter() - started_s) * 1000, 2),
    )


@router.post("/v1/search/image", openapi_extra=IMAGE_BODY)
def search_by_image(
    running: Running,
    content: Picture,
    asked: Asked,
    part: Part,
    like: Like = [],  # noqa: B006 - FastAPI copies it
    unlike: Like = [],  # noqa: B006
    objects: Objects = None,
    session_id: Session = None,
) -> schemas.Page:
    """Images like an uploaded one, or like a crop of it; also like some of the index, and unlike others."""
    started_s = time.perf_counter()
    vector = running.searcher.embedder.embed(content, part)
    if like or unlike:
        like, unlike = running.ids_of(like), running.ids_of(unlike)
        liked, unliked = ([running.searcher.vector_of(i) for i in ids] for ids in (like, unlike))
        vector = between([vector, *liked], unliked)
    answer = running.searcher.by_vector(vector, running.also_objects(asked, objects, part), without={*like, *unlike})
    return _page(running, answer, started_s, "image", session_id)


@router.get("/v1/search/id/{image_id:path}")
def search_by_id(
    running: Running, image_id: ImageIdPath, asked: Asked, part: Part, objects: Objects = None,
    session_id: Session = None,
) -> schemas.Page:  # fmt: skip
    """Images like one that is in the index, or like a crop of it."""
    started_s = time.perf_counter()
    image_id = running.id_of(image_id)
    if part is None:
        vector = running.searcher.vector_of(image_id)
    else:
        vector = running.searcher.embedder.embed(running.picture(image_id), part)
    answer = running.searcher.by_vector(vector, running.also_objects(asked, objects, part), without={image_id})
    return _page(running, answer, started_s, f"id:{image_id}", session_id)


@router.get("/v1/search/tag")
def search_by_tag(
    running: Running,
    tag: Annotated[str, Query(max_length=1000)],
    asked: Asked,
    order: Annotated[schemas.Order, Query(description="carried: images that carry the tag come first")] = "carried",
    session_id: Session = None,
) -> schemas.Page:
    """Images that a tag fits, those that carry it first; the score is the tag's probability."""
    started_s = time.perf_counter()
    answer = running.searcher.by_tag(tag, replace(asked, order=order))
    return _page(running, answer, started_s, f"tag:{tag}", session_id)


@router.post("/v1/rank")
def rank_images(running: Running, wanted: Annotated[RankIn, Body()]) -> schemas.RankPage:
    """Order images of your own choice by taste, best first; ids that are not in the index are left out."""
    version, ranked = running.searcher.rank(running.ids_of(wanted.image_ids))
    rows = [schemas.Ranked(image_id=image_id, score=score) for image_id, score in ranked]
    return schemas.RankPage(ranked=rows, ranker_version=version)


def _page(
    running: Service, answer: Answer, started_s: float, query: str, session_id: str | None, **others: Any
) -> schemas.Page:
    """An answer as the API gives it, with `others` beside it.

    With a session id its impression goes to the log, unless Kafka is away.
    """
    impression_id = None
    if session_id and answer.results:
        impression_id = str(uuid.uuid4())
        shown = tuple(item.hit.image_id for item in answer.results)
        try:
            running.post(Impression(
                impression_id=impression_id, session_id=session_id, shown=shown, query=query[:MOST_QUERY_CHARS],
                ranker_version=answer.ranker_version,
            ), timeout_s=IMPRESSION_S)  # fmt: skip
        except InfrastructureError as error:  # what was found is worth more than the note that it was shown
            log.warning("impression not posted: %s", error)
            impression_id = None
    return views.page(
        answer,
        running.searcher.names(),
        impression_id=impression_id,
        encoder_version=running.encoder_version,
        took_ms=round((time.perf_counter() - started_s) * 1000, 2),
        **others,
    )


def _understood(running: Service, line: str) -> Understood:
    """What a line means.

    Raises:
        UsageError: it has no words, or too many.
    """

    def has(terms: Terms) -> bool:
        return bool(running.index.scroll(None, 1, Condition(terms=terms))[0])

    count = len(line.split())
    if count > MOST_WORDS:
        raise UsageError(f"q of {count} words: expected at most {MOST_WORDS}; say fewer")
    found = understand(line, running.vocabulary(), has)
    if not found.meanings:
        raise UsageError(f"q {line[:100]!r}: expected a word or more; say what to look for, or leave it out")
    return found


def _answer(
    running: Service, found: Understood, like: Sequence[str], unlike: Sequence[str], options: Options
) -> Answer:
    """Results for what a line means.

    Raises:
        UsageError: nothing is wanted, so that there is no order.
    """
    searcher, tags = running.searcher, found.tags()
    if tags and not (like or unlike):
        return searcher.by_tags(tags, options)
    liked, unliked = ([searcher.vector_of(one) for one in ids] for ids in (like, unlike))
    liked += TagFit(searcher.tagger(), tags).directions if tags else []
    if not liked and found.terms():
        liked = _typical(running, options)
    elif not liked and all(one.without for one in found.meanings):
        raise UsageError(
            "search: expected something to look for in q or like; what is left out alone puts nothing in an order"
        )
    return searcher.by_vector(between(liked, unliked), options, without={*like, *unlike}) if liked else Answer([])


def _typical(running: Service, options: Options) -> list[Vector]:
    """Vectors [D] of pictures that the options leave: those most like them all come first."""
    condition = running.searcher.condition(options)
    hits = [] if condition is None else running.index.scroll(None, TYPICAL, condition)[0]
    records = running.index.fetch([hit.image_id for hit in hits], with_vectors=True).values()
    return [record.vector for record in records if record.vector is not None]
