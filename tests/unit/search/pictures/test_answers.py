"""Stored pictures over HTTP: ETag, ranges, thumbnails, and what is never served."""

import numpy as np
import pytest

from models.errors import StorageUnavailableError
from stream.index.payload import IndexRecord
from tests.fakes import payload
from tests.unit.search.api import client_of, make_service, put

CONTENT = b"pic" + bytes(range(97))
PATH = "/v1/images/a%2Fb/bytes"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = make_service(tmp_path_factory.mktemp("api"))
    put(service, "a/b", CONTENT, width_px=400, height_px=100)
    return service


@pytest.fixture(scope="module")
def api(service):
    with client_of(service) as client:
        yield client


def test_bytes_come_with_an_etag_that_is_asked_about(api):
    whole = api.get(PATH)
    assert (whole.content, whole.headers["content-type"]) == (CONTENT, "image/png")
    etag = whole.headers["etag"]
    for said in (etag, "*", f'"other", W/{etag}'):
        again = api.get(PATH, headers={"If-None-Match": said})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert api.get(PATH, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(("asked", "first", "last"), [
    ("bytes=0-9", 0, 9), ("bytes=90-", 90, 99), ("bytes=-5", 95, 99), ("bytes=-500", 0, 99), ("bytes=99-5000", 99, 99),
])  # fmt: skip
def test_a_part_is_sent_where_a_part_is_asked_for(api, asked, first, last):
    part = api.get(PATH, headers={"Range": asked})
    assert (part.status_code, part.content) == (206, CONTENT[first : last + 1])
    assert part.headers["content-range"] == f"bytes {first}-{last}/100"


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=5-4", "bytes=-0"])
def test_a_part_that_is_not_there_is_refused(api, asked):
    refused = api.get(PATH, headers={"Range": asked})
    assert (refused.status_code, refused.headers["content-range"]) == (416, "bytes */100")
    assert "expected one within 100 bytes" in refused.json()["detail"]


@pytest.mark.parametrize("asked", [
    {"Range": "bytes=0-1,5-6"}, {"Range": "lines=1-2"}, {"Range": "bytes=-"},
    {"Range": "bytes=0-9", "If-Range": '"of before"'},
])  # fmt: skip
def test_otherwise_the_whole_is_sent(api, asked):
    whole = api.get(PATH, headers=asked)
    assert (whole.status_code, whole.content) == (200, CONTENT)


def test_a_file_that_is_no_stored_picture_is_never_served_and_no_path_is_told(tmp_path):
    """Not even the store itself, where its folder is one that datarefs may point into."""
    store = tmp_path / "pictures.sqlite"
    store.write_bytes(b"everything that was ever posted")
    service = make_service(tmp_path, ingest={"dataref_roots": [tmp_path]})
    assert service.datarefs.read(store.as_uri()) == store.read_bytes()
    for image_id, uri in [("whole", store.as_uri()), ("lost", f"{store.as_uri()}#{'ab' * 32}"), ("gone", "file:///no")]:
        service.index.write([IndexRecord(image_id, 1, payload(sha256="ab" * 32, uri=uri), np.ones(8, "f4"))], [])
        with client_of(service) as client:
            for query in ("", "?size=64"):
                answer = client.get(f"/v1/images/{image_id}/bytes{query}")
                assert answer.status_code == 404
                said = f"image {image_id!r}: its bytes are not there any more; post it again"
                assert answer.json() == {"detail": said}


def test_a_store_that_is_away_tells_no_path_either(service, api, monkeypatch):
    def away(sha256):
        raise StorageUnavailableError("pictures in /data/pictures.sqlite: disk I/O error")

    monkeypatch.setattr(service.pictures, "get", away)
    answer = api.get(PATH)
    assert answer.status_code == 503
    assert "/data" not in answer.text


def test_a_thumbnail_is_made_once_for_each_size_and_asked_about_by_its_etag(tmp_path):
    service = make_service(tmp_path)
    put(service, "a", b"pic9")
    with client_of(service) as client:
        asked = client.get("/v1/images/a/bytes", params={"size": 64})
        assert (asked.status_code, asked.headers["content-type"]) == (200, "image/webp")
        assert asked.content == b"RIFF 57 64"
        etag = asked.headers["etag"]
        assert etag.endswith('-64"')
        again = client.get("/v1/images/a/bytes", params={"size": 64}, headers={"If-None-Match": etag})
        assert (again.status_code, again.content) == (304, b"")
        put(service, "a", b"pic9")
        service.pictures.names.clear()  # from now on it is known from before
        assert client.get("/v1/images/a/bytes", params={"size": 64}).content == asked.content
        assert client.get("/v1/images/a/bytes", params={"size": 65}).status_code == 404
        assert client.get("/v1/images/a/bytes", params={"size": 63}).status_code == 422
        assert client.get("/v1/images/a/bytes", params={"size": 1025}).status_code == 422


def test_all_images_are_listed_page_by_page(tmp_path):
    service = make_service(tmp_path)
    for number in range(7):
        put(service, f"folder/{number}", b"pic" + bytes([number]))
    with client_of(service) as client:
        seen, cursor = [], None
        while True:
            page = client.get("/v1/images", params={"limit": 3} | ({} if cursor is None else {"cursor": cursor})).json()
            seen += [image["image_id"] for image in page["images"]]
            cursor = page["cursor"]
            if cursor is None:
                break
    assert sorted(seen) == [f"folder/{number}" for number in range(7)]


def test_pages_of_others_may_use_it_where_the_settings_say_so(tmp_path):
    asked = {"Origin": "https://gallery.example", "Access-Control-Request-Method": "PUT"}
    with client_of(make_service(tmp_path, cors_origins=["https://gallery.example"])) as client:
        allowed = client.options("/v1/images/a/tags", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://gallery.example"
        assert (
            "access-control-allow-origin" not in client.get("/v1/tags", headers={"Origin": "https://x.example"}).headers
        )
    with client_of(make_service(tmp_path)) as client:
        assert "access-control-allow-origin" not in client.options("/v1/images/a/tags", headers=asked).headers
