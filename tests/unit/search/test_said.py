"""What a revoke and its undo go by: pages over all pictures, those that wait last."""

import pytest

from search.tags import said
from stream.events.codec import decode
from stream.events.schema import TagsApplied, TagsRevoked
from stream.index.payload import IndexRecord
from stream.ingest.apply import apply_event
from tests.fakes import local_index, make_record
from tests.unit.search.images import record

ALL = -(2**63)


@pytest.fixture(scope="module")
def index():
    """Ten pictures of which a bot tagged the even ones, ann i0 too; i2 was taken back; two pictures are waited for."""
    index = local_index()
    both = (("bot", "/bots", 5), ("ann", "/people", 9))
    records = [record(n, tags=("cat", "dog"), speakers=both, said=((0,), (0, 1))) for n in range(0, 10, 2)]
    records += [record(n, tags=("cat",), speakers=both[1:], said=((0,),)) for n in range(1, 10, 2)]
    records[1] = applied(records[1], TagsRevoked(image_id="i2", revocation="r", said_by="bot"))
    records += [waiting(f"w{n}", by) for n, by in enumerate(("bot", "ann"))]
    index.write(records, [])
    yield index
    index.close()


def applied(state, event):
    one = make_record(event, offset=7, timestamp_ms=7)
    return apply_event(state, decode(one.key, one.value, one.headers), one, None).record


def waiting(image_id, by):
    return applied(IndexRecord(image_id, 0), TagsApplied(image_id=image_id, tags=("Bird",), by=by))


def everything(index, meant, limit):
    found, cursor = {}, None
    while True:
        page = said.page(index, meant, cursor, limit)
        found |= {one.image_id: (one.tags, one.alone) for one in page.images}
        cursor = page.cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_names_every_picture_once_whatever_the_page(index, limit):
    by_bot = {f"i{n}": (["cat", "dog"], ["cat"]) for n in (0, 4, 6, 8)} | {"w0": (["bird"], ["bird"])}
    assert everything(index, said.said_by("bot", ALL), limit) == by_bot
    assert everything(index, said.taken_by("r"), limit) == {"i2": (["cat", "dog"], [])}


def test_goes_by_source_and_by_time(index):
    assert everything(index, said.said_by("/bots", ALL), 100).keys() == {"i0", "i4", "i6", "i8"}
    assert everything(index, said.said_by("bot", 6), 100) == {"w0": (["bird"], ["bird"])}
    assert everything(index, said.said_by("bot", 8), 100) == everything(index, said.taken_by("other"), 100) == {}
