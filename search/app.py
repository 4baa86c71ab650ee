"""The FastAPI application: routes, and our errors as HTTP answers of one sentence."""

import difflib
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import FatalError, Fate, MekikiError, NotFoundError, PolicyError, StorageUnavailableError
from search.access.bodies import Bodies
from search.access.gate import Gate
from search.access.paths import Paths
from search.routes import clicks, images, posting, predict, search, session, status, tags
from search.routes.parameters import known_parameters
from search.service import Service
from stream import metrics
from stream.events.mistakes import first_mistake

log = logging.getLogger(__name__)

DESCRIPTION = """Search images by example, id, crop or tag; predict tags; report what was shown and clicked.

Where keys are set, each request carries `Authorization: Bearer KEY`, or the cookie of POST /v1/session.
Pictures are sent as raw bodies: `curl --data-binary @cat.jpg http://localhost:8080/v1/search/image`."""


def create_app(service: Service) -> FastAPI:
    """The application over a running service; closes the service when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="mekiki",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,  # an id may end with one
        dependencies=[Depends(known_parameters)],
    )
    app.state.service = service
    for noun in (search, predict, posting, images, clicks, status, tags, session):
        app.include_router(noun.router)
    for path, methods in app.openapi()["paths"].items():  # made once and kept
        for parameter in methods.get("get", methods.get("post", {})).get("parameters", ()):
            if path.startswith("/v1/search") and parameter["name"] == "limit":
                parameter["schema"]["maximum"] = service.settings.serve.max_limit
    app.add_exception_handler(MekikiError, _sentence)
    app.add_exception_handler(RequestValidationError, _first_mistake)
    app.add_exception_handler(404, _no_such_path)
    app.add_exception_handler(405, _other_method)
    serve = service.settings.serve  # of what follows the one added last comes first
    app.add_middleware(Bodies, settings=serve)
    app.add_middleware(Gate, keys=service.keys, per_minute=serve.requests_per_minute)
    app.add_middleware(Paths)
    if serve.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=serve.cors_origins, allow_methods=["*"],
            allow_headers=["*"], allow_credentials="*" not in serve.cors_origins,
            expose_headers=["ETag", "Content-Range", "Retry-After"],
        )  # fmt: skip
    app.add_middleware(Measured)
    return app


async def _sentence(request: Request, error: Exception) -> Response:
    if not isinstance(error, MekikiError):
        raise error
    status = status_of(error)
    said = str(error)
    if isinstance(error, (StorageUnavailableError, FatalError)):  # these name files of this machine
        log.error("%s: %s", request.url.path, error)
        said = "storage: does not give the bytes; ask again later, the log of the API says why"
    return JSONResponse({"detail": plain(said)}, status_code=503 if status >= 500 else status)


async def _first_mistake(request: Request, error: Exception) -> Response:
    """One sentence about the first of them."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    if first["type"] == "model_attributes_type" and not _says_json(request):
        sentence = "body: expected a JSON object; send it with Content-Type: application/json"
        return JSONResponse({"detail": sentence}, status_code=422)
    inside = {**first, "loc": first["loc"][1:]}  # the first part says where parameters come from
    return JSONResponse({"detail": plain(first_mistake([inside], str(first["loc"][0])))}, status_code=422)


def _says_json(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("application/json")


async def _no_such_path(request: Request, error: Exception) -> Response:
    """Of a path that no route has; what a route does not find is another error."""
    if getattr(error, "detail", "") != "Not Found":
        return await http_exception_handler(request, error)  # type: ignore[arg-type]
    path: str = request.scope["path"]
    known = [one for one in request.app.openapi()["paths"] if "{" not in one]
    shorter = path.rstrip("/").lower()
    near = [shorter] if shorter in known else difflib.get_close_matches(path, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "/docs shows those there are"
    return JSONResponse({"detail": plain(f"{path[:200]}: no such path; {hint}")}, status_code=404)


async def _other_method(request: Request, error: Exception) -> Response:
    """Says which methods the path has; of several routes with one path the router knows only the first."""
    path, described = request.scope["path"], request.app.openapi()["paths"]
    fitting = [one for one in described if re.fullmatch(re.sub(r"\{\w+\}", ".+", one), path)]
    methods = described[path] if path in described else [method for one in fitting for method in described[one]]
    allowed = {method.upper() for method in methods}
    allowed |= {"HEAD"} if "GET" in allowed else set()
    sentence = f"{request.method} {path[:200]}: expected {' or '.join(sorted(allowed))}"
    return JSONResponse({"detail": sentence}, status_code=405, headers={"Allow": ", ".join(sorted(allowed))})


def plain(text: str) -> str:
    """Text that can be sent as UTF-8, whatever was in a body."""
    return text.encode(errors="replace").decode()


def status_of(error: MekikiError) -> int:
    """HTTP status for an error: whose fault it is, and whether trying again helps."""
    if error.fate is Fate.POISON:
        return 413 if isinstance(error, PolicyError) and error.reason.startswith("too_") else 400
    if error.fate is Fate.USAGE:
        return 404 if isinstance(error, NotFoundError) else 400
    return 503 if error.fate is Fate.INFRASTRUCTURE else 500


class Measured:
    """Counts and times every request by its route; plain ASGI, which costs a third of a middleware function's time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the application's start and end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            name = getattr(scope.get("route"), "path", "unknown")
            metrics.REQUESTS.labels(name, str(status)).inc()
            metrics.REQUEST_SECONDS.labels(name).observe(time.perf_counter() - started_s)
