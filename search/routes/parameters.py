"""What every route takes: the running service, query parameters and picture bodies.

Pictures come as raw bodies; every error is one sentence in `detail`. All dependencies are async: FastAPI would run each
of the others on a thread of its own.
"""

import difflib
from collections import Counter
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Query, Request
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from models.errors import UsageError
from search import schemas
from search.access.paths import id_of
from search.service import Service
from stream.events.schema import ImageId
from stream.pictures.decode_pool import Crop

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Problem, "description": meaning}
    for status, meaning in {
        400: "what is asked for cannot be",
        401: "no key, or none that is valid",
        403: "the key only reads",
        404: "not there",
        408: "the body was not whole in time",
        413: "too large",
        415: "a form, or compressed",
        422: "a parameter or field breaks its rule",
        429: "too many requests",
        503: "a neighbour is away, or all memory for bodies is taken; ask again",
    }.items()
}
IMAGE_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {
        name: {"schema": {"type": "string", "format": "binary"}} for name in ("image/jpeg", "image/png", "image/webp")
    }}
}  # fmt: skip


def _pair(text: str) -> str:
    if text.find("=") < 1:
        raise PydanticCustomError("pair", "expected NAME=VALUE; say both")
    return text


Pair = Annotated[str, AfterValidator(_pair), Field(json_schema_extra={"pattern": "^[^=]+="})]


async def service(request: Request) -> Service:
    """The running service, put there by the app."""
    running: Service = request.app.state.service
    return running


Running = Annotated[Service, Depends(service)]
ImageIdPath = Annotated[str, Path(description="an image id, percent-encoded, its slashes too"), AfterValidator(id_of)]
NewIdPath = Annotated[
    ImageId, Path(description="an image id, percent-encoded, its slashes too"), BeforeValidator(id_of)
]
NamePath = Annotated[str, Path(description="percent-encoded"), AfterValidator(id_of)]


async def known_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not have, or has once: others would be ignored in silence.

    Raises:
        HTTPException: 422, naming it.
    """
    if not request.query_params:
        return
    described = request.app.openapi()["paths"][request.scope["route"].path_format][request.method.lower()]
    schemas_of = {one["name"]: one["schema"] for one in described.get("parameters", ()) if one["in"] == "query"}
    known = list(schemas_of)
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if count > 1 and schemas_of.get(name, {"type": "array"}).get("type") != "array":
            raise HTTPException(422, f"query parameter {name!r}: given {count} times; expected once")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"this route has {', '.join(known) or 'none'}"
            raise HTTPException(422, f"query parameter {name!r}: unknown; {hint}")


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


def name_and_value(text: str) -> tuple[str, str]:
    """Both sides of a `Pair`."""
    name, _, value = text.partition("=")
    return name, value


async def body(request: Request) -> bytes:
    """The raw body; search.access.bodies reads no further than allowed.

    Raises:
        HTTPException: 400 for an empty one, 415 for a form or compressed bytes.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        raise HTTPException(415, f"body: {kind}; send the picture's bytes alone, e.g. curl --data-binary @cat.jpg")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise HTTPException(415, f"body: encoded with {encoding[:50]}; send it as it is, without Content-Encoding")
    content = await request.body()
    if not content:
        raise HTTPException(400, "body: empty; send the picture's bytes, e.g. curl --data-binary @cat.jpg")
    return content


async def session(
    request: Request,
    session_id: Annotated[str | None, Query(description="post an impression for this session", max_length=256)] = None,
) -> str | None:
    """The session that an impression is posted for.

    Raises:
        HTTPException: 403, the key only reads.
    """
    if session_id and request.state.level == "read":
        raise HTTPException(403, "session_id: a key that only reads posts no impression; leave it out")
    return session_id


Part = Annotated[Crop | None, Depends(crop)]
Picture = Annotated[bytes, Depends(body)]
TagLimit = Annotated[int, Query(ge=1, le=100_000, description="tags wanted")]
MinImages = Annotated[int, Query(ge=1, description="only tags that are on at least this many images")]
Session = Annotated[str | None, Depends(session)]
