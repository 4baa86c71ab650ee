"""What the index knows of images that somebody wants to post, under either Unicode form of their ids."""

import asyncio

import httpx
import pytest

from models.errors import NotFoundError
from search.access.keys import Keys
from search.app import create_app
from search.served import ServedModels
from search.service import Service
from stream.environment import load_settings
from stream.index.payload import IndexRecord
from tests.fakes import local_index, payload, unit

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.fixture
def service(tmp_path):
    service = Service(
        settings=load_settings({}, data_dir=tmp_path), index=local_index(), objects=None, searcher=None,
        served=ServedModels(), follower=None, watch=None, writer=None, pictures=None, datarefs=None,
        encoder_version="fake-1", keys=Keys(load_settings({}).serve), outcomes=None, thumbnails=None,
    )  # fmt: skip
    said = payload(sha256="1" * 64, tags=("cat",), title="Cat", metadata={"n": 1}, posted_at="2026-11-21T12:00:00Z")
    service.index.write([
        IndexRecord("there", 1, said, unit(1), seen=("e1",)), IndexRecord("gone", 1, deleted=True),
        IndexRecord("waits", 1, waiting=("one",)), IndexRecord("slow", 1, waiting=("one",), undecoded=("2" * 64,)),
        IndexRecord(DECOMPOSED, 1, payload(sha256="3" * 64), unit(3)),
    ], [])  # fmt: skip
    yield service
    service.index.close()


def ask(service, image_ids):
    async def asked():
        transport = httpx.ASGITransport(create_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/v1/images/known", json={"image_ids": image_ids})

    return asyncio.run(asked())


def known(service, *image_ids):
    answer = ask(service, image_ids)
    assert answer.status_code == 200, answer.text
    return {one["asked"]: one for one in answer.json()["images"]}


def test_what_is_there_is_told_with_its_bytes_and_what_was_said(service):
    found = known(service, "there", "gone", "waits", "slow", "nobody", "a\nb", "")
    assert {asked: (one["state"], one["sha256"][:1]) for asked, one in found.items()} == {
        "there": ("there", "1"), "gone": ("deleted", ""), "waits": ("waiting", ""), "slow": ("decoding", "2"),
    }  # fmt: skip
    assert found["there"] == {
        "asked": "there", "image_id": "there", "state": "there", "sha256": "1" * 64, "tags": ["cat"], "complete": False,
        "events": ["e1"], "posted_at": "2026-11-21T12:00:00Z", "title": "Cat", "source_url": "", "author": "",
        "metadata": {"n": 1},
    }  # fmt: skip


@pytest.mark.parametrize("ids", [[], ["x" * 257], ["x"] * 1_001, [1], None])
def test_too_much_at_once_is_refused(service, ids):
    assert ask(service, ids).status_code == 422


def test_an_image_is_found_under_its_other_form_and_under_its_own_first(service):
    assert known(service, COMPOSED)[COMPOSED]["image_id"] == DECOMPOSED
    assert service.id_of(COMPOSED) == service.id_of(DECOMPOSED) == DECOMPOSED
    assert service.payload(COMPOSED).sha256 == "3" * 64
    service.index.write([IndexRecord(COMPOSED, 1, deleted=True)], [])
    assert service.id_of(COMPOSED) == DECOMPOSED, "one that is there comes before one that is deleted"
    service.index.write([IndexRecord(COMPOSED, 2, payload(sha256="4" * 64), unit(4))], [])
    assert (service.id_of(COMPOSED), service.id_of(DECOMPOSED)) == (COMPOSED, DECOMPOSED)
    assert service.id_of("nobody") == "nobody"
    with pytest.raises(NotFoundError):
        service.payload("gone")
