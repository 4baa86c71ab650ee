"""The tags that are known, and operations on them."""

from typing import Annotated

from fastapi import APIRouter, Query

from search.routes.options import Time
from search.routes.parameters import PROBLEMS, NamePath, Running
from search.tags import said, schemas, views
from search.views import quality
from stream.events.operations import since_ms

UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
Cursor = Annotated[str | None, Query(pattern=f"^(waiting/)?({UUID})?$", description="of the page before")]
PageSize = Annotated[int, Query(ge=1, le=1_000, description="pictures looked at")]

router = APIRouter(responses=PROBLEMS, tags=["tags"])


@router.get("/v1/tags")
def list_tags(
    running: Running, limit: Annotated[int, Query(ge=1, le=100_000)] = 100, prefix: str = ""
) -> schemas.TagPage:
    """Tags the learner knows, most images first."""
    tagger = running.searcher.tagger()
    return schemas.TagPage(
        tags=[views.tag(row) for row in tagger.catalogue.tags(limit, prefix)],
        known=tagger.snapshot.known,
        quality=quality(tagger.snapshot.quality),
        tagger_version=tagger.snapshot.version,
    )


@router.get("/v1/tags/{tag:path}")
def show_tag(running: Running, tag: NamePath) -> schemas.TagDetail:
    """One tag: counts, quality, first seen, its other names, what it implies and what implies it."""
    return views.detail(running.searcher.tagger().catalogue.tag(tag), running.searcher.names())


@router.get("/v1/operations")
def list_operations(running: Running, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> schemas.OperationPage:
    """Operations on tags and what came of them, newest first."""
    snapshot = running.searcher.tagger().snapshot
    newest = snapshot.operations[: -limit - 1 : -1]
    return schemas.OperationPage(
        operations=[views.operation(row) for row in newest],
        known=len(snapshot.operations),
        tagger_version=snapshot.version,
    )


@router.get("/v1/operations/{operation_id:path}")
def show_operation(running: Running, operation_id: NamePath) -> schemas.OperationView:
    """What came of one operation on tags."""
    return views.operation(running.operation(operation_id))


@router.get("/v1/said")
def list_said(
    running: Running,
    by: Annotated[str, Query(min_length=1, max_length=2_000, description="by, or source, of what said the tags")],
    since: Time = None,
    cursor: Cursor = None,
    limit: PageSize = 1_000,
) -> schemas.SaidPage:
    """Pictures of which somebody said tags, as `mekiki tags revoke` would take them back."""
    return said.page(running.index, said.said_by(by, since_ms(since.isoformat() if since else "")), cursor, limit)


@router.get("/v1/revoked")
def list_revoked(
    running: Running,
    revocation: Annotated[str, Query(min_length=1, max_length=256, description="operation_id of a revoke")],
    cursor: Cursor = None,
    limit: PageSize = 1_000,
) -> schemas.SaidPage:
    """Pictures of which a revoke took tags back, and which."""
    return said.page(running.index, said.taken_by(revocation), cursor, limit)
