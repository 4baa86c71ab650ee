"""How the service is: counts, health, metrics."""

from dataclasses import asdict

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from search import schemas
from search.routes.parameters import PROBLEMS, Running

router = APIRouter(responses=PROBLEMS, tags=["operations"])


@router.get("/v1/status")
def status(running: Running) -> schemas.Status:
    """Counts and versions."""
    return running.status()


@router.get("/v1/index")
def index(running: Running) -> schemas.Index:
    """How the index is kept: quantisation, and on a server shards and replicas."""
    return schemas.Index(**asdict(running.index.describe()))


@router.get("/livez")
@router.get("/healthz")
async def live() -> dict[str, str]:
    """The process answers; on the event loop, for searches that wait may hold every thread."""
    return {"status": "ok"}


@router.get("/readyz")
def ready(running: Running) -> dict[str, str]:
    """The index answers and the published models are followed; 503 otherwise."""
    running.check_ready()
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
def prometheus() -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
