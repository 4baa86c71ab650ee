"""Search by words and examples together, and completions of words."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query

from models.errors import UsageError
from search import schemas, views
from search.answer import Answer, Options
from search.routes.options import Asked, Like
from search.routes.parameters import PROBLEMS, Running, Session
from search.routes.search import page_of
from search.service import Service
from search.words.examples import between
from search.words.fit import TagFit
from search.words.suggest import suggest
from search.words.understand import Understood, understand
from stream.index.contract import Condition, Terms
from stream.index.payload import Vector

MOST_CHARS = 1_000  # of a line of words
MOST_WORDS = 50  # in it
TYPICAL = 100  # pictures with words that no tag is, of which the others are to be like

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
    return page_of(running, answer, started_s, said, session_id, words=views.words(found))


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
