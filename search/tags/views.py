"""Rows of the tag learner as the API shows them."""

from models.tagging.examples import OperationRow
from models.tagging.serving.columns import TagRow
from search.tags import schemas
from search.views import numbers


def tag(row: TagRow) -> schemas.TagView:
    """One tag of the learner."""
    return schemas.TagView(**numbers(row))


def operation(row: OperationRow) -> schemas.OperationView:
    """What came of one operation on tags."""
    same = {name: getattr(row, name) for name in ("operation_id", "kind", "tags", "into", "outcome")}
    return schemas.OperationView(**same, in_force=row.active, images_moved=len(row.moved))
