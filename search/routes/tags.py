"""The tags that are known, and operations on them."""

from typing import Annotated

from fastapi import APIRouter, Query

from search.routes.parameters import PROBLEMS, NamePath, Running
from search.tags import schemas, views
from search.views import quality

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
def show_tag(running: Running, tag: NamePath) -> schemas.TagView:
    """One tag: counts, quality, first seen."""
    return views.tag(running.searcher.tagger().catalogue.tag(tag))


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
