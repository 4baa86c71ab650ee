"""Search by picture, id or tag, and images in the order of taste."""

import logging
import time
import uuid
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from models.errors import InfrastructureError
from search import schemas, views
from search.answer import Answer
from search.routes.inputs import RankIn
from search.routes.options import Asked, Like
from search.routes.parameters import IMAGE_BODY, PROBLEMS, ImageIdPath, Part, Picture, Running, Session
from search.service import Service
from search.words.examples import between
from stream.events.schema import Impression

log = logging.getLogger(__name__)

IMPRESSION_S = 2.0
MOST_QUERY_CHARS = 2_000  # of an impression

router = APIRouter(responses=PROBLEMS, tags=["search"])


@router.post("/v1/search/image", openapi_extra=IMAGE_BODY)
def search_by_image(
    running: Running,
    content: Picture,
    asked: Asked,
    part: Part,
    like: Like = [],  # noqa: B006 - FastAPI copies it
    unlike: Like = [],  # noqa: B006
    session_id: Session = None,
) -> schemas.Page:
    """Images like an uploaded one, or like a crop of it; also like some of the index, and unlike others."""
    started_s = time.perf_counter()
    vector = running.searcher.embed(content, part)
    if like or unlike:
        like, unlike = running.ids_of(like), running.ids_of(unlike)
        liked, unliked = ([running.searcher.vector_of(i) for i in ids] for ids in (like, unlike))
        vector = between([vector, *liked], unliked)
    answer = running.searcher.by_vector(vector, asked, without={*like, *unlike})
    return page_of(running, answer, started_s, "image", session_id)


@router.get("/v1/search/id/{image_id:path}")
def search_by_id(
    running: Running, image_id: ImageIdPath, asked: Asked, part: Part, session_id: Session = None
) -> schemas.Page:
    """Images like one that is in the index, or like a crop of it."""
    started_s = time.perf_counter()
    image_id = running.id_of(image_id)
    if part is None:
        vector = running.searcher.vector_of(image_id)
    else:
        vector = running.searcher.embed(running.picture(image_id), part)
    answer = running.searcher.by_vector(vector, asked, without={image_id})
    return page_of(running, answer, started_s, f"id:{image_id}", session_id)


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
    return page_of(running, answer, started_s, f"tag:{tag}", session_id)


@router.post("/v1/rank")
def rank_images(running: Running, wanted: Annotated[RankIn, Body()]) -> schemas.RankPage:
    """Order images of your own choice by taste, best first; ids that are not in the index are left out."""
    version, ranked = running.searcher.rank(running.ids_of(wanted.image_ids))
    rows = [schemas.Ranked(image_id=image_id, score=score) for image_id, score in ranked]
    return schemas.RankPage(ranked=rows, ranker_version=version)


def page_of(
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
