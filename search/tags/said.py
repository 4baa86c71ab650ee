"""Of which pictures one tagger said tags, and of which a revocation took some back: what a revoke and its undo go by.

In: the index, page by page; each page looks at so many pictures, at those that wait last. Out: those that are meant.
"""

from collections.abc import Callable, Iterable

from search.tags.schemas import SaidOf, SaidPage
from stream.index.contract import VectorIndex
from stream.ingest.apply import tags_of
from stream.ingest.image_tags import ImageTags

Meant = Callable[[str, ImageTags], SaidOf | None]
_WAITING = "waiting/"  # begins a cursor among the pictures that events wait for


def said_by(who: str, since_ms: int) -> Meant:
    """Means pictures of which this `by` or source said tags from then on."""

    def meant(image_id: str, tags: ImageTags) -> SaidOf | None:
        found, alone = tags.said_by(who, since_ms), tags.said_by_nobody_else(who, since_ms)
        return SaidOf(image_id=image_id, tags=list(found), alone=list(alone)) if found else None

    return meant


def taken_by(revocation: str) -> Meant:
    """Means pictures of which this revocation took tags back."""

    def meant(image_id: str, tags: ImageTags) -> SaidOf | None:
        found = tags.revoked_by(revocation)
        return SaidOf(image_id=image_id, tags=list(found), alone=[]) if found else None

    return meant


def page(index: VectorIndex, meant: Meant, cursor: str | None, limit: int) -> SaidPage:
    """The next page. A picture that has events waiting may come twice."""
    if cursor is None or not cursor.startswith(_WAITING):
        hits, following = index.scroll(cursor or None, limit)
        found = _found(meant, ((hit.image_id, ImageTags(hit.payload)) for hit in hits))
        return SaidPage(images=found, cursor=following or _WAITING)
    records, following = index.scroll_waiting(cursor.removeprefix(_WAITING) or None, limit)
    found = _found(meant, ((record.image_id, tags_of(record)) for record in records))
    return SaidPage(images=found, cursor=following and _WAITING + following)


def _found(meant: Meant, images: Iterable[tuple[str, ImageTags]]) -> list[SaidOf]:
    return [one for image_id, tags in images if (one := meant(image_id, tags)) is not None]
