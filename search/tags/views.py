"""Rows of the tag learner as the API shows them."""

from datetime import UTC, datetime, timedelta

from models.tagging.examples import OperationRow
from models.tagging.serving.columns import TagRow
from search.tag_names import TagNames
from search.tags import schemas
from search.views import numbers

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tag(row: TagRow) -> schemas.TagView:
    """One tag of the learner."""
    return schemas.TagView(**numbers(row))


def detail(row: TagRow, names: TagNames) -> schemas.TagDetail:
    """One tag with what is called by it and what goes with it."""
    implies, implied_by = names.implications(row.name)
    return schemas.TagDetail(**numbers(row), aliases=names.aliases(row.name), implies=implies, implied_by=implied_by)


def operation(row: OperationRow) -> schemas.OperationView:
    """What came of one operation on tags."""
    names = ("operation_id", "kind", "tags", "into", "outcome", "by", "said_by", "since")
    same = {name: getattr(row, name) for name in names}
    time = (EPOCH + timedelta(milliseconds=row.time_ms)).isoformat() if row.time_ms else ""
    return schemas.OperationView(**same, in_force=row.active, images_moved=len(row.moved), time=time)
