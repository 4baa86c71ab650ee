"""What people clicked on: into the log, for the ranker."""

from typing import Annotated

from fastapi import APIRouter, Body

from search import schemas
from search.pictures.intake import event_of
from search.routes.inputs import ImpressionIn
from search.routes.parameters import PROBLEMS, Running
from stream.events.schema import Clicked, Impression, PairClicked

router = APIRouter(responses=PROBLEMS, tags=["clicks"])


@router.post("/v1/clicks", status_code=202)
def post_click(running: Running, click: Annotated[Clicked, Body()]) -> schemas.Accepted:
    """A click on a picture of an impression."""
    click = event_of(Clicked, click.model_dump() | {"image_id": running.id_of(click.image_id)})
    return schemas.Accepted(event_id=running.post(click))


@router.post("/v1/pairs", status_code=202)
def post_pair(running: Running, pair: Annotated[PairClicked, Body()]) -> schemas.Accepted:
    """Of two pictures, one was preferred."""
    preferred, over = running.ids_of([pair.preferred, pair.over])
    pair = event_of(PairClicked, pair.model_dump() | {"preferred": preferred, "over": over})
    return schemas.Accepted(event_id=running.post(pair))


@router.post("/v1/impressions", status_code=202)
def post_impression(running: Running, shown: Annotated[ImpressionIn, Body()]) -> schemas.Accepted:
    """A results page somebody saw; the event id is the impression id for its clicks."""
    running.post(event_of(Impression, shown.model_dump() | {"shown": tuple(running.ids_of(shown.shown))}))
    return schemas.Accepted(event_id=shown.impression_id)
