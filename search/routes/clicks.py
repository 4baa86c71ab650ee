"""What people were shown, and what they clicked on: into the log, for the ranker."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Body

from search import schemas
from search.routes.parameters import PROBLEMS, Running
from stream.events.schema import Clicked, Impression, PairClicked

router = APIRouter(responses=PROBLEMS, tags=["clicks"])


@router.post("/v1/clicks", status_code=202)
def post_click(running: Running, click: Annotated[schemas.ClickIn, Body()]) -> schemas.Accepted:
    """A click on a picture of an impression."""
    return schemas.Accepted(event_id=running.post(Clicked(**click.model_dump())))


@router.post("/v1/pairs", status_code=202)
def post_pair(running: Running, pair: Annotated[schemas.PairIn, Body()]) -> schemas.Accepted:
    """Of two pictures, one was preferred."""
    return schemas.Accepted(event_id=running.post(PairClicked(**pair.model_dump())))


@router.post("/v1/impressions", status_code=202)
def post_impression(running: Running, shown: Annotated[schemas.ImpressionIn, Body()]) -> schemas.Accepted:
    """A results page somebody saw; the event id is the impression id for its clicks."""
    impression_id = str(uuid.uuid4())
    running.post(Impression(**shown.model_dump(), impression_id=impression_id))
    return schemas.Accepted(event_id=impression_id)
