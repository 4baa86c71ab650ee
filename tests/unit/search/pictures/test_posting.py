"""Pictures and tags posted over HTTP: what stands in the log afterwards."""

import hashlib
import json
import shutil

import pytest

from search.pictures.outcomes import DONE, WAITS
from stream.events.codec import decode
from stream.events.schema import ImageDeleted, ImagePosted, TagsApplied, TagsRemoved
from tests.unit.search.api import client_of, make_service, put


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    service = make_service(tmp_path_factory.mktemp("api"))
    with client_of(service) as client:
        yield service, client


@pytest.fixture
def service(kept):
    """Its log is empty, and so is its folder of uploads."""
    service, _ = kept
    service.writer.acknowledged.clear()
    shutil.rmtree(service.settings.data_path / "uploads", ignore_errors=True)
    return service


@pytest.fixture
def api(kept, service):
    return kept[1]


def posted(service):
    (sent,) = service.writer.acknowledged
    return decode(sent.key, sent.value, sent.headers).event


def test_bytes_go_into_the_log_with_what_is_said_of_them(service, api):
    asked = {"id": "cats/1.jpg", "tags": ["cat", "赤い"], "complete": True}
    answer = api.post("/v1/images", params=asked, content=b"pic1")
    assert (answer.status_code, answer.json()["image_id"]) == (202, "cats/1.jpg")
    assert posted(service) == ImagePosted(
        image_id="cats/1.jpg", content=b"pic1", sha256=hashlib.sha256(b"pic1").hexdigest(), tags=("cat", "赤い"),
        complete=True,
    )  # fmt: skip


def test_without_an_id_the_hash_is_the_id(service, api):
    assert api.post("/v1/images", content=b"pic1").json()["image_id"] == hashlib.sha256(b"pic1").hexdigest()


def test_large_ones_are_stored_and_referred_to(service, api):
    content = b"pic" + b"x" * 1_500_000
    assert api.post("/v1/images", params={"id": "large"}, content=content).status_code == 202
    event = posted(service)
    assert (event.content, event.sha256) == (None, hashlib.sha256(content).hexdigest())
    assert service.datarefs.read(event.dataref) == content
    assert api.post("/v1/images", params={"id": "twin"}, content=content).status_code == 202
    uploads = list((service.settings.data_path / "uploads").iterdir())
    assert len(uploads) == 2  # each goes with its image
    assert all(upload.name.startswith(event.sha256) for upload in uploads)


def test_a_dataref_goes_into_the_log_as_it_is(service, api):
    body = {"image_id": "far", "dataref": "https://pictures.example/1.jpg", "tags": ["cat"], "sha256": "ab" * 32}
    assert api.post("/v1/images", json=body).status_code == 202
    assert posted(service) == ImagePosted(**body)


@pytest.mark.parametrize(("asked", "body", "words"), [
    ({}, {"image_id": "a"}, "dataref"),
    ({}, {"image_id": "a", "dataref": "file:///x", "content": "x"}, "content"),
    ({}, {"image_id": "a", "dataref": "file:///x", "colour": "red"}, "colour"),
    ({}, {"image_id": "a\n", "dataref": "file:///x"}, "image_id"),
    ({}, {"image_id": "a", "dataref": "file:///x", "tags": ["\u0007"]}, "tag"),
    ({"id": "b"}, {"image_id": "a", "dataref": "file:///x"}, "query parameter id"),
])  # fmt: skip
def test_json_that_the_log_would_not_take_is_refused(service, api, asked, body, words):
    answer = api.post("/v1/images", params=asked, json=body)
    assert answer.status_code in (400, 422)
    assert words in answer.json()["detail"]
    assert service.writer.acknowledged == []


@pytest.mark.parametrize("asked", [
    {"id": "a\nb"}, {"id": "x" * 257}, {"id": "tag-operation"}, {"tags": "\u0007"}, {"tags": "x" * 101}, {"tag": "cat"},
])  # fmt: skip
def test_so_are_parameters(service, api, asked):
    answer = api.post("/v1/images", params=asked, content=b"pic1")
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]
    assert service.writer.acknowledged == []
    assert not (service.settings.data_path / "uploads").exists()


def test_more_bytes_than_a_picture_may_have_are_refused(tmp_path):
    service = make_service(tmp_path, max_body_bytes=30_000_000)
    with client_of(service) as client:
        answer = client.post("/v1/images", content=b"x" * 20_000_001)
    assert (answer.status_code, "expected at most 20000000" in answer.json()["detail"]) == (413, True)


@pytest.mark.parametrize(("method", "path", "named", "event"), [
    ("PUT", "/v1/images/a%2Fb/tags", {"json": {"tags": ["Cat"], "by": "me"}},
     TagsApplied(image_id="a/b", tags=("Cat",), by="me")),
    ("DELETE", "/v1/images/a%2Fb/tags", {"params": {"tags": ["x", "y"]}}, TagsRemoved(image_id="a/b", tags=("x", "y"))),
    ("DELETE", "/v1/images/a%2Ftags", {}, ImageDeleted(image_id="a/tags")),
])  # fmt: skip
def test_tags_and_deletions(service, api, method, path, named, event):
    assert api.request(method, path, **named).status_code == 202
    assert posted(service) == event


@pytest.mark.parametrize(("method", "path", "named"), [
    ("PUT", "/v1/images/a/tags", {"json": {"tags": ["x" * 101]}}), ("DELETE", "/v1/images/a/tags", {}),
    ("PUT", "/v1/images/tag-operation/tags", {"json": {"tags": ["x"]}}), ("DELETE", "/v1/images/a%0Ab", {}),
    ("PUT", "/v1/images/a/tags", {"json": {"tags": ["x"], "image_id": "b"}}),
])  # fmt: skip
def test_those_that_cannot_be_are_refused(service, api, method, path, named):
    answer = api.request(method, path, **named)
    assert answer.status_code in (400, 422)
    assert service.writer.acknowledged == []


class Outcome:
    """Knows of one outcome, whatever is asked."""

    def __init__(self, outcome):
        self.outcome = outcome

    def prepare(self):
        pass

    def of(self, event, event_id, source):
        return self.outcome

    def stop(self):
        pass


ASKED = [
    ("POST", "/v1/images?id=a", {"content": b"pic1"}, 201), ("DELETE", "/v1/images/a", {}, 200),
    ("PUT", "/v1/images/a/tags", {"json": {"tags": ["x"]}}, 200), ("DELETE", "/v1/images/a/tags?tags=x", {}, 200),
]  # fmt: skip


@pytest.mark.parametrize(("outcome", "words"), [
    (DONE, None), (WAITS, "image 'a': not there; this waits for it in the log, post it"),
    (None, "image 'a': the log has this, it was not carried out within 0.2 s; look again later"),
])  # fmt: skip
def test_what_is_waited_for_is_done_or_the_answer_says_what_it_waits_for(tmp_path, outcome, words):
    service = make_service(tmp_path, wait_s=0.2)
    service.outcomes = Outcome(outcome)
    with client_of(service) as client:
        for method, path, body, done in ASKED:
            answer = client.request(method, f"{path}{'&' if '?' in path else '?'}wait=searchable", **body)
            assert answer.status_code == (done if words is None else 202)
            assert answer.json()["detail"] is None if words is None else answer.json()["detail"].startswith(words)


def test_what_is_dead_is_told_with_its_reason(tmp_path):
    service = make_service(tmp_path)
    service.outcomes = Outcome("image 'a': was deleted")
    with client_of(service) as client:
        for method, path, body, _ in ASKED:
            answer = client.request(method, f"{path}{'&' if '?' in path else '?'}wait=searchable", **body)
            assert (answer.status_code, answer.json()["detail"]) == (422, "dead: image 'a': was deleted")


def test_metadata_is_named_in_the_query(service, api):
    asked = {"id": "a", "metadata": ["iso=200", "note=a=b"], "title": "Fox"}
    assert api.post("/v1/images", params=asked, content=b"pic1").status_code == 202
    assert posted(service).metadata == {"iso": "200", "note": "a=b"}
    assert api.post("/v1/images", params={"metadata": "x" * 101 + "=1"}, content=b"pic1").status_code == 400


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(("method", "path", "named"), [
    ("POST", "/v1/images?id={}", {"content": b"pic1"}),
    ("POST", "/v1/images", {"json": {"image_id": "{}", "dataref": "https://pictures.example/1"}}),
    ("PUT", "/v1/images/{}/tags", {"json": {"tags": ["x"]}}), ("DELETE", "/v1/images/{}/tags?tags=x", {}),
    ("DELETE", "/v1/images/{}", {}), ("POST", "/v1/clicks", {"json": {"impression_id": "i", "image_id": "{}"}}),
    ("POST", "/v1/pairs", {"json": {"preferred": "{}", "over": "a"}}),
    ("POST", "/v1/impressions", {"json": {"shown": ["{}", "a"]}}),
])  # fmt: skip
def test_what_is_said_is_said_of_the_image_that_is_there_else_of_the_composed_id(tmp_path, method, path, named):
    def said(service, client, image_id):
        service.writer.acknowledged.clear()
        text = json.dumps(named.get("json")).replace("{}", image_id)
        given = named | ({"json": json.loads(text)} if "json" in named else {})
        assert client.request(method, path.format(image_id), **given).status_code == 202
        event = posted(service).model_dump()
        (found,) = {event.get("image_id"), event.get("preferred"), *event.get("shown", ())} - {None, "a"}
        return found

    service = make_service(tmp_path)
    with client_of(service) as client:
        assert said(service, client, DECOMPOSED) == COMPOSED
        put(service, DECOMPOSED)  # as a plain producer wrote it
        assert said(service, client, COMPOSED) == said(service, client, DECOMPOSED) == DECOMPOSED
        assert client.get("/v1/search", params={"like": COMPOSED}).status_code == 200
        ranked = client.post("/v1/rank", json={"image_ids": [COMPOSED]}).json()["ranked"]
        assert [row["image_id"] for row in ranked] == [DECOMPOSED]
