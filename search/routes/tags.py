"""What can be asked about the tags themselves, and about the operations on them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from search import schemas
from search.routes.all import PROBLEMS, Running

router = APIRouter(responses=PROBLEMS, tags=["tags"])


@router.get("/v1/tags")
def list_tags(
    running: Running, limit: Annotated[int, Query(ge=1, le=100_000)] = 100, prefix: str = ""
) -> schemas.TagPage:
    """Tags the learner knows, most images first."""
    catalogue = running.searcher.tagger().catalogue
    snapshot = catalogue.snapshot
    rows = [schemas.TagView(**row) for row in running.tag_rows(catalogue, limit, prefix)]
    quality = schemas.TagQuality(**running.quality(snapshot))
    return schemas.TagPage(tags=rows, known=snapshot.known, quality=quality, tagger_version=snapshot.version)


@router.get("/v1/tags/{tag:path}")
def show_tag(running: Running, tag: str) -> schemas.TagView:
    """One tag: counts, quality, first seen."""
    return schemas.TagView(**running.tag_row(running.searcher.tagger().catalogue, tag))


@router.get("/v1/operations")
def list_operations(running: Running, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> schemas.OperationPage:
    """Operations on tags and what came of them, newest first."""
    snapshot = running.searcher.tagger().snapshot
    rows = [schemas.OperationView(**row) for row in running.operations(snapshot, limit)]
    return schemas.OperationPage(operations=rows, known=len(snapshot.operations), tagger_version=snapshot.version)


@router.get("/v1/operations/{operation_id:path}")
def show_operation(running: Running, operation_id: str) -> schemas.OperationView:
    """What came of one operation on tags."""
    return schemas.OperationView(**running.operation(running.searcher.tagger().snapshot, operation_id))
