"""Pictures and tags into the log, over HTTP: answered once the log has them, or once they can be found."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from models.errors import UsageError
from search import schemas
from search.pictures.intake import check_tags, event_of, posted
from search.pictures.outcomes import DONE, WAITS, AboutImage
from search.routes.inputs import ImageIn, TagsIn
from search.routes.parameters import IMAGE_BODY, PROBLEMS, NewIdPath, Pair, Picture, Running, name_and_value
from search.service import SOURCE, Service
from stream.events.details import Text, WebUrl
from stream.events.schema import MAX_TAGS_PER_EVENT, ImageDeleted, ImageId, ImagePosted, TagsApplied, TagsRemoved

POLL_S = 0.05  # between two looks at whether it is carried out
JSON = "application/json"
BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {
    **IMAGE_BODY["requestBody"]["content"], JSON: {"schema": ImageIn.model_json_schema()},
}}}  # fmt: skip
ANSWERS: dict[int | str, dict[str, Any]] = {
    201: {"model": schemas.Posted, "description": "it can be found"},
    202: {"model": schemas.Posted, "description": "the log has it"},
    422: {"model": schemas.Problem, "description": "a parameter or field breaks its rule, or the picture is dead: why"},
}
CARRIED_OUT: dict[int | str, dict[str, Any]] = {
    200: {"model": schemas.Accepted, "description": "searches see it"},
    202: {"model": schemas.Accepted, "description": "the log has it"},
}

router = APIRouter(responses=PROBLEMS, tags=["posting"])
Tags = Annotated[list[str], Query(max_length=MAX_TAGS_PER_EVENT, description="may be repeated")]
Until = Annotated[
    Literal["searchable"] | None, Query(description="answer when searches see it, or say why they do not")
]


@router.post("/v1/images", status_code=202, responses=ANSWERS, openapi_extra=BODY)
async def post_image(
    running: Running,
    request: Request,
    response: Response,
    content: Picture,
    image_id: Annotated[ImageId | None, Query(alias="id", description="else the sha256 of the bytes")] = None,
    tags: Tags = [],  # noqa: B006 - FastAPI copies it
    complete: Annotated[bool, Query(description="the tag list is exhaustive")] = False,
    title: Annotated[Text | None, Query()] = None,
    source_url: Annotated[WebUrl | None, Query(description="where the picture comes from")] = None,
    author: Annotated[Text | None, Query()] = None,
    metadata: Annotated[
        list[Pair], Query(max_length=50, description="NAME=VALUE, anything else; may be repeated")
    ] = [],  # noqa: B006
    wait: Until = None,
) -> schemas.Posted:
    """Post a picture: its bytes, and what is said of it in the query; or all of it as JSON, with a dataref."""
    fields = {
        "image_id": image_id, "tags": tuple(tags), "complete": complete, "title": title, "source_url": source_url,
        "author": author, "metadata": dict(map(name_and_value, metadata)),
    }  # fmt: skip
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON:
        if asked := set(request.query_params) - {"wait"}:
            raise UsageError(
                f"query parameter {min(asked)}: expected nothing but wait beside a JSON body; say it there"
            )
        event = await run_in_threadpool(_described, running, content)
    else:
        if image_id is not None:
            fields["image_id"] = await run_in_threadpool(running.id_of, image_id)
        event = await run_in_threadpool(posted, running.settings, content, fields)
    check_tags(event.tags)
    event_id, detail = await _post(running, event, wait)
    response.status_code = 201 if wait and detail is None else 202
    return schemas.Posted(event_id=event_id, image_id=event.image_id, detail=detail)


def _described(running: Service, content: bytes) -> ImagePosted:
    try:
        given = ImageIn.model_validate_json(content)
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from None
    return event_of(ImagePosted, given.model_dump(exclude_unset=True) | {"image_id": running.id_of(given.image_id)})


async def _post(running: Service, event: AboutImage, wait: str | None) -> tuple[str, str | None]:
    """Put an event into the log and, with `wait`, look until it is carried out.

    Returns:
        Its id, and of one that is waited for and not carried out a sentence about it.

    Raises:
        HTTPException: 422, it is dead.
    """
    if wait is None:
        return await run_in_threadpool(running.post, event), None
    await run_in_threadpool(running.outcomes.prepare)
    event_id = await run_in_threadpool(running.post, event)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + running.settings.serve.wait_s
    while loop.time() < until_s:
        outcome = await run_in_threadpool(running.outcomes.of, event, event_id, SOURCE)
        if outcome == DONE:
            return event_id, None
        if outcome == WAITS:
            return event_id, f"image {event.image_id!r}: not there; this waits for it in the log, post it"
        if outcome is not None:
            raise HTTPException(422, f"dead: {outcome}")
        await asyncio.sleep(POLL_S)
    return event_id, (
        f"image {event.image_id!r}: the log has this, it was not carried out within "
        f"{running.settings.serve.wait_s:g} s; look again later, `mekiki status` says what ingest does"
    )


@router.put("/v1/images/{image_id:path}/tags", status_code=202, responses=CARRIED_OUT)
async def put_tags(
    running: Running,
    response: Response,
    image_id: NewIdPath,
    given: Annotated[TagsIn, Body()],
    wait: Until = None,
) -> schemas.Accepted:
    """Put tags on a picture, beside those it has; they wait for one that is not there yet."""
    check_tags(given.tags)
    image_id = await run_in_threadpool(running.id_of, image_id)
    return await _accept(running, response, event_of(TagsApplied, given.model_dump() | {"image_id": image_id}), wait)


@router.delete("/v1/images/{image_id:path}/tags", status_code=202, responses=CARRIED_OUT)
async def delete_tags(
    running: Running,
    response: Response,
    image_id: NewIdPath,
    tags: Annotated[list[str], Query(min_length=1, max_length=1_000)],
    wait: Until = None,
) -> schemas.Accepted:
    """Take tags off a picture."""
    check_tags(tags)
    image_id = await run_in_threadpool(running.id_of, image_id)
    event = event_of(TagsRemoved, {"image_id": image_id, "tags": tuple(tags)})
    return await _accept(running, response, event, wait)


@router.delete("/v1/images/{image_id:path}", status_code=202, responses=CARRIED_OUT)
async def delete_image(
    running: Running, response: Response, image_id: NewIdPath, wait: Until = None
) -> schemas.Accepted:
    """Take a picture down everywhere: index, stored bytes, everything learned from it."""
    image_id = await run_in_threadpool(running.id_of, image_id)
    return await _accept(running, response, event_of(ImageDeleted, {"image_id": image_id}), wait)


async def _accept(running: Service, response: Response, event: AboutImage, wait: str | None) -> schemas.Accepted:
    event_id, detail = await _post(running, event, wait)
    response.status_code = 200 if wait and detail is None else 202
    return schemas.Accepted(event_id=event_id, detail=detail)
