"""Images of the index: what is kept of one, its bytes, and which there are."""

import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from search import schemas, views
from search.pictures.answers import answer
from search.routes.options import Which
from search.routes.parameters import PROBLEMS, ImageIdPath, Running
from stream.events.details import Described
from stream.index.payload import IndexRecord

SAME_BYTES = 100  # ids shown of images with the same bytes
BINARY = {"schema": {"type": "string", "format": "binary"}}

router = APIRouter(responses=PROBLEMS, tags=["images"])
PageSize = Annotated[int, Query(ge=1, le=1_000, description="images wanted")]
Cursor = Annotated[uuid.UUID | None, Query(description="of the page before")]
ThumbnailPx = Annotated[
    int | None, Query(ge=64, le=1_024, description="a WebP thumbnail, its longer side so long; never enlarged")
]


class KnownIn(BaseModel):
    """Images that somebody wants to post, or has posted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"image_ids": ["1F431", "1F436"]}})
    image_ids: Annotated[list[Annotated[str, Field(max_length=256)]], Field(min_length=1, max_length=1_000)]


class Known(Described):
    """What the index knows of one of them."""

    asked: str
    image_id: str = Field(description="as it was posted, maybe under the other Unicode form of the id asked for")
    state: Literal["there", "decoding", "waiting", "deleted"] = Field(
        description="waiting: events wait for a picture that nobody posted yet"
    )
    sha256: str = Field(description="of its bytes, also while they are being decoded; empty where they are not here")
    tags: list[str] = Field(description="as they were written, normalised")
    complete: bool
    events: list[str] = Field(description="the last that are in it: each the hash of an event's source and id")


class KnownPage(BaseModel):
    """What the index knows of them; an id that nobody used is left out."""

    images: list[Known]


@router.post("/v1/images/known")
def list_known(running: Running, wanted: Annotated[KnownIn, Body()]) -> KnownPage:
    """Which of these images are there, with which bytes: what a producer need not send again."""
    return KnownPage(images=[_known(asked, record) for asked, record in running.records(wanted.image_ids).items()])


@router.get("/v1/waiting")
def list_waiting(running: Running, limit: PageSize = 100, cursor: Cursor = None) -> schemas.WaitingPage:
    """Images that are not there and that events wait for."""
    records, following = running.index.scroll_waiting(None if cursor is None else str(cursor), limit)
    return schemas.WaitingPage(images=[views.waiting(record) for record in records], cursor=following)


@router.get("/v1/images")
def list_images(running: Running, which: Which, limit: PageSize = 100, cursor: Cursor = None) -> schemas.ImagePage:
    """All images, or those that filters leave, in an order that means nothing and stays the same."""
    condition = running.searcher.condition(which.options())
    if condition is None:
        return schemas.ImagePage(images=[])
    hits, following = running.index.scroll(None if cursor is None else str(cursor), limit, condition)
    names = running.searcher.names()
    images = [views.image(hit.image_id, hit.payload, names, ()) for hit in hits]
    return schemas.ImagePage(images=images, cursor=following)


@router.get(
    "/v1/images/{image_id:path}/bytes",
    response_class=Response,
    responses={
        200: {"content": {"image/*": BINARY}, "description": "the picture, or its thumbnail"},
        206: {"content": {"image/*": BINARY}, "description": "the part that the header Range asked for"},
        304: {"description": "the client has it, as the header If-None-Match says"},
        416: {"model": schemas.Problem, "description": "there is no such part"},
    },
)
def image_bytes(request: Request, running: Running, image_id: ImageIdPath, size: ThumbnailPx = None) -> Response:
    """The picture itself, or a thumbnail of it; with ETag and ranges."""
    payload = running.payload(image_id)
    if size is None:
        content = running.picture(image_id)
        return answer(content, f"image/{payload.format}", f'"{payload.sha256}"', request.headers)
    content = running.thumbnail(image_id, payload.sha256, size)
    return answer(content, "image/webp", f'"{payload.sha256}-{size}"', request.headers)


@router.get("/v1/images/{image_id:path}")
def show_image(running: Running, image_id: ImageIdPath) -> schemas.ImageView:
    """What the index holds of one image."""
    image_id = running.id_of(image_id)
    payload = running.payload(image_id)
    same = running.index.find_sha256(payload.sha256, SAME_BYTES)
    duplicates = {hit.image_id for hit in same} - {image_id}
    return views.image(image_id, payload, running.searcher.names(), duplicates)


def _known(asked: str, record: IndexRecord) -> Known:
    payload = record.payload
    state = "decoding" if record.undecoded else "there" if payload else "deleted" if record.deleted else "waiting"
    kept = {} if payload is None else {name: getattr(payload, name) for name in Described.model_fields}
    return Known(
        **({"posted_at": ""} | kept),
        asked=asked,
        image_id=record.image_id,
        state=state,
        sha256=record.undecoded[-1] if record.undecoded else payload.sha256 if payload else "",
        tags=list(payload.tags) if payload else [],
        complete=payload is not None and payload.complete,
        events=list(record.seen),
    )
