"""What can be asked over HTTP. Pictures come as raw bodies; every error is one sentence in `detail`."""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Body, Depends, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from models.errors import UsageError
from search import schemas
from search.query import Answer, Crop, Found, Options
from search.service import Service
from search.tag_names import TagNames
from stream.events.schema import Clicked, Event, Impression, PairClicked

PROBLEMS: dict[int | str, dict[str, Any]] = {400: {"model": schemas.Problem}, 503: {"model": schemas.Problem}}
router = APIRouter(responses=PROBLEMS)

IMAGE_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {
        name: {"schema": {"type": "string", "format": "binary"}} for name in ("image/jpeg", "image/png", "image/webp")
    }}
}  # fmt: skip


async def service(request: Request) -> Service:  # async, as all of these: otherwise each takes a thread of its own
    """The running service, put there by the app."""
    running: Service = request.app.state.service
    return running


Running = Annotated[Service, Depends(service)]
Tags = Annotated[
    list[str],
    Query(alias="tags", description="only images that carry all of these, under whatever name", max_length=20),
]


async def options(
    running: Running,
    limit: Annotated[int, Query(ge=1, description="results wanted")] = 20,
    rank: schemas.Rank = "similarity",
    collapse: schemas.Collapse = "exact",
    tags: Tags = [],  # noqa: B006 - FastAPI copies it
) -> Options:
    """The common query parameters.

    Raises:
        UsageError: more results than the service gives.
    """
    most = running.settings.serve.max_limit
    if limit > most:
        raise UsageError(f"limit {limit}: expected at most {most}; ask for fewer results")
    return Options(limit, rank, collapse, tuple(tags))


async def crop(
    crop: Annotated[str | None, Query(description="left,top,width,height as shares of the picture, 0 to 1")] = None,
) -> Crop | None:
    """The part of the picture that is meant.

    Raises:
        UsageError: not four numbers inside the picture.
    """
    if crop is None:
        return None
    try:
        left, top, width, height = (float(part) for part in crop.split(","))
    except ValueError:
        raise UsageError(f"crop {crop!r}: expected left,top,width,height, e.g. 0.1,0.1,0.5,0.5") from None
    if not (0 <= left < 1 and 0 <= top < 1 and 0 < width <= 1 - left + 1e-6 and 0 < height <= 1 - top + 1e-6):
        raise UsageError(f"crop {crop!r}: expected shares of the picture between 0 and 1, inside it")
    return left, top, width, height


async def body(request: Request, running: Running) -> bytes:
    """The raw body, read no further than allowed.

    Raises:
        HTTPException: 413 for too large a body, 400 for an empty one.
    """
    most = running.settings.serve.max_body_bytes
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise HTTPException(413, f"body: expected at most {most} bytes; send a smaller picture")
    if not content:
        raise HTTPException(400, "body: empty; send the picture's bytes, e.g. curl --data-binary @cat.jpg")
    return bytes(content)


Asked = Annotated[Options, Depends(options)]
Part = Annotated[Crop | None, Depends(crop)]
Picture = Annotated[bytes, Depends(body)]
TagLimit = Annotated[int, Query(ge=1, le=100_000, description="tags wanted")]
MinImages = Annotated[int, Query(ge=1, description="only tags that are on at least this many images")]
Session = Annotated[str | None, Query(description="post an impression for this session", max_length=256)]


@router.post("/v1/search/image", openapi_extra=IMAGE_BODY, tags=["search"])
async def search_by_image(
    running: Running, content: Picture, asked: Asked, part: Part, session_id: Session = None
) -> schemas.Page:
    """Images like an uploaded one, or like a crop of it."""

    def find() -> schemas.Page:
        started_s = time.perf_counter()
        vector = running.searcher.embed(content, part)
        return page(running, running.searcher.by_vector(vector, asked), started_s, "image", session_id)

    return await run_in_threadpool(find)


@router.get("/v1/search/id/{image_id:path}", tags=["search"])
def search_by_id(running: Running, image_id: str, asked: Asked, part: Part, session_id: Session = None) -> schemas.Page:
    """Images like one that is in the index, or like a crop of it."""
    started_s = time.perf_counter()
    if part is None:
        vector = running.searcher.vector_of(image_id)
    else:
        vector = running.searcher.embed(running.picture(image_id), part)
    answer = running.searcher.by_vector(vector, asked, without=image_id)
    return page(running, answer, started_s, f"id:{image_id}", session_id)


@router.get("/v1/search/tag", tags=["search"])
def search_by_tag(
    running: Running, tag: Annotated[str, Query(max_length=1000)], asked: Asked, session_id: Session = None
) -> schemas.Page:
    """Images that a tag fits, tagged by anybody or not; the score is the tag's probability."""
    started_s = time.perf_counter()
    return page(running, running.searcher.by_tag(tag, asked), started_s, f"tag:{tag}", session_id)


@router.post("/v1/predict", openapi_extra=IMAGE_BODY, tags=["tags"])
async def predict_image(
    running: Running, content: Picture, part: Part, limit: TagLimit = 20, min_images: MinImages = 1
) -> schemas.Prediction:
    """Tags for an uploaded image."""

    def find() -> schemas.Prediction:
        started_s = time.perf_counter()
        return prediction(running, running.searcher.embed(content, part), (limit, min_images), started_s)

    return await run_in_threadpool(find)


@router.get("/v1/predict/id/{image_id:path}", tags=["tags"])
def predict_id(running: Running, image_id: str, limit: TagLimit = 20, min_images: MinImages = 1) -> schemas.Prediction:
    """Tags for an image of the index."""
    return prediction(running, running.searcher.vector_of(image_id), (limit, min_images), time.perf_counter())


@router.get("/v1/images/{image_id}/bytes", tags=["images"], response_class=Response)
def image_bytes(running: Running, image_id: str) -> Response:
    """The picture itself."""
    payload = running.payload(image_id)
    content = running.picture(image_id)
    headers = {"ETag": f'"{payload.sha256}"', "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=f"image/{payload.format}", headers=headers)


@router.get("/v1/images/{image_id}", tags=["images"])
def show_image(running: Running, image_id: str) -> schemas.ImageView:
    """What the index holds of one image."""
    payload = running.payload(image_id)
    same = running.index.find_sha256(payload.sha256, 100)
    names = ("complete", "posted_at", "sha256", "format", "width_px", "height_px", "bytes", "encoder")
    return schemas.ImageView(
        image_id=image_id,
        tags=running.searcher.names().shown(image_id, payload.tags),
        tags_as_written=list(payload.tags),
        duplicates=sorted(hit.image_id for hit in same if hit.image_id != image_id),
        bytes_url=_bytes_url(image_id),
        **{name: getattr(payload, name) for name in names},
    )


@router.post("/v1/clicks", status_code=202, tags=["clicks"])
def post_click(running: Running, click: Annotated[schemas.ClickIn, Body()]) -> schemas.Accepted:
    """A click on a picture of an impression."""
    return _post(running, Clicked(**click.model_dump()))


@router.post("/v1/pairs", status_code=202, tags=["clicks"])
def post_pair(running: Running, pair: Annotated[schemas.PairIn, Body()]) -> schemas.Accepted:
    """Of two pictures, one was preferred."""
    return _post(running, PairClicked(**pair.model_dump()))


@router.post("/v1/rank", tags=["search"])
def rank_images(running: Running, wanted: Annotated[schemas.RankIn, Body()]) -> schemas.RankPage:
    """Order images of your own choice by taste, best first; ids that are not in the index are left out."""
    version, ranked = running.searcher.rank(wanted.image_ids)
    rows = [schemas.Ranked(image_id=image_id, score=score) for image_id, score in ranked]
    return schemas.RankPage(ranked=rows, ranker_version=version)


@router.post("/v1/impressions", status_code=202, tags=["clicks"])
def post_impression(running: Running, shown: Annotated[schemas.ImpressionIn, Body()]) -> schemas.Accepted:
    """A results page somebody saw; the event id is the impression id for its clicks."""
    impression_id = str(uuid.uuid4())
    fields = shown.model_dump() | {"impression_id": impression_id}
    _post(running, Impression(**fields))
    return schemas.Accepted(event_id=impression_id)


@router.get("/v1/status", tags=["operations"])
def status(running: Running) -> schemas.Status:
    """Counts and versions."""
    return schemas.Status(**running.status())


@router.get("/healthz", tags=["operations"])
def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", tags=["operations"])
def ready(running: Running) -> dict[str, str]:
    """The index answers and the published models are followed; 503 otherwise."""
    running.check_ready()
    return {"status": "ready"}


@router.get("/metrics", tags=["operations"], response_class=Response)
def prometheus() -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def page(running: Service, answer: Answer, started_s: float, query: str, session_id: str | None) -> schemas.Page:
    """An answer as the API gives it; with a session id its impression goes to the log."""
    impression_id = None
    if session_id and answer.results:
        impression_id = str(uuid.uuid4())
        shown = tuple(item.hit.image_id for item in answer.results)
        running.post(Impression(
            impression_id=impression_id, session_id=session_id, shown=shown, query=query,
            ranker_version=answer.ranker_version,
        ))  # fmt: skip
    names = running.searcher.names()
    return schemas.Page(
        results=[_result(item, names) for item in answer.results],
        impression_id=impression_id,
        ranker_version=answer.ranker_version,
        tagger_version=answer.tagger_version,
        encoder_version=running.encoder_version,
        took_ms=round((time.perf_counter() - started_s) * 1000, 2),
    )


def prediction(running: Service, vector: Any, wanted: tuple[int, int], started_s: float) -> schemas.Prediction:
    """The first `wanted[0]` tags for one vector, of those on at least `wanted[1]` images."""
    version, ranked = running.searcher.tags_of(vector, *wanted)
    tags = [schemas.TagProbability(tag=tag, probability=round(float(p), 6)) for tag, p in ranked]
    took_ms = round((time.perf_counter() - started_s) * 1000, 2)
    return schemas.Prediction(tags=tags, tagger_version=version, took_ms=took_ms)


def _result(item: Found, names: TagNames) -> schemas.Result:
    payload = item.hit.payload
    return schemas.Result(
        image_id=item.hit.image_id,
        score=round(item.hit.score, 6),
        rank_score=None if item.rank_score is None else round(item.rank_score, 6),
        tags=names.shown(item.hit.image_id, payload.tags),
        duplicates=item.duplicates,
        near_duplicate_of=item.near_duplicate_of,
        width_px=payload.width_px,
        height_px=payload.height_px,
        posted_at=payload.posted_at,
        bytes_url=_bytes_url(item.hit.image_id),
    )


def _bytes_url(image_id: str) -> str:
    return f"/v1/images/{quote(image_id, safe='')}/bytes"


def _post(running: Service, event: Event) -> schemas.Accepted:
    return schemas.Accepted(event_id=running.post(event))
