"""Ids of any characters in every route, and in every URL that the API gives."""

import socket
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.access.paths import id_of, quote_id
from tests.unit.search.api import client_of, make_service, put

IDS = [
    "cats/1.jpg", "a/bytes", "a/bytes/", "bytes", "/", "a//b", "/lead", "50%", "50%25", "a%2Fb", "..", ".", "../up",
    "a/../b", "a?b#c", "a b", "猫/写真.png", "é", "[x]*", "tags", "a/tags", ";p=1", "+", "known", "\\",
]  # fmt: skip


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    service = make_service(tmp_path_factory.mktemp("api"))
    for number, image_id in enumerate(IDS):
        put(service, image_id, b"pic" + bytes([number]))
    with client_of(service) as client:
        yield client


@pytest.mark.parametrize("number", range(len(IDS)))
def test_an_image_is_reachable_under_its_id_whatever_that_is(api, number):
    image_id, segment = IDS[number], quote_id(IDS[number])
    shown = api.get(f"/v1/images/{segment}")
    assert shown.json()["image_id"] == image_id
    assert api.get(shown.json()["bytes_url"]).content == b"pic" + bytes([number])
    alike = api.get(f"/v1/search/id/{segment}", params={"limit": 100, "collapse": "none"}).json()["results"]
    assert sorted([image_id, *(row["image_id"] for row in alike)]) == sorted(IDS)
    assert api.get(f"/v1/predict/id/{segment}").status_code == 200
    for row in alike:
        assert api.get(row["bytes_url"]).content == b"pic" + bytes([IDS.index(row["image_id"])])


def test_slashes_may_stand_as_they_are_where_that_is_clear(api):
    assert api.get("/v1/images/cats/1.jpg").json()["image_id"] == "cats/1.jpg"
    assert api.get("/v1/images/cats/1.jpg/bytes").content == b"pic\0"


def test_what_is_not_there_is_said_under_its_own_name(api):
    assert api.get(f"/v1/images/{quote('no/such', safe='')}").json()["detail"].startswith("image 'no/such': not in")
    assert api.get("/v1/images/%FF%FE").status_code == 404
    assert api.get("/v1/tags/a%2Fb").json()["detail"].startswith("tag 'a/b'")


def test_head_says_what_get_would_and_sends_nothing(api):
    path = f"/v1/images/{quote_id('cats/1.jpg')}/bytes"
    asked, head = api.get(path), api.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "4")
    assert head.headers["etag"] == asked.headers["etag"]
    assert api.head("/v1/images/nobody").status_code == 404
    assert api.head("/v1/pairs").status_code == 405


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("PUT", "/v1/images", "GET, HEAD, POST"), ("POST", "/v1/images/a%2Fb", "DELETE, GET, HEAD"),
    ("GET", "/v1/images/a/tags/", None), ("POST", "/v1/images/a/tags", "DELETE, GET, HEAD, PUT"),
    ("DELETE", "/v1/pairs", "POST"), ("PUT", "/v1/images/known", "POST"), ("OPTIONS", "/v1/tags", "GET, HEAD"),
])  # fmt: skip
def test_another_method_is_refused_with_those_there_are(api, method, path, allowed):
    answer = api.request(method, path)
    assert answer.status_code == (404 if allowed is None else 405)
    assert answer.headers.get("allow") == allowed


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=256))
def test_an_id_comes_back_out_of_its_segment(image_id):
    segment = quote_id(image_id)
    assert segment.isascii() and "/" not in segment and segment not in (".", "..")
    assert id_of(segment) == image_id


@pytest.mark.parametrize(("path", "words"), [
    ("/v1/status/", "did you mean /v1/status?"), ("/V1/Status", "did you mean /v1/status?"),
    ("/v1/serach", "did you mean /v1/search?"), ("/nothing/like/it", "/docs shows those there are"),
])  # fmt: skip
def test_a_path_that_is_none_says_which_may_be_meant(api, path, words):
    answer = api.get(path)
    assert (answer.status_code, answer.json()["detail"]) == (404, f"{path}: no such path; {words}")


def test_a_path_with_its_host_is_the_same(api):
    """As RFC 9112, 3.2.2 asks for."""
    with socket.create_connection((api.base_url.host, api.base_url.port), timeout=10) as connection:
        connection.sendall(b"GET http://here/livez HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert connection.makefile("rb").readline().split()[1] == b"200"
