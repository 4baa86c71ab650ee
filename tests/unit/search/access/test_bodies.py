"""Bodies that are too large, too slow or too many at once; and bodies of anything at all."""

import asyncio
import gzip
import json

import pytest
from starlette.exceptions import HTTPException

from search.access.bodies import Bodies
from stream.settings import ServeSettings
from tests.unit.search.api import client_of, make_service


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with client_of(make_service(tmp_path_factory.mktemp("api"))) as client:
        yield client


BROKEN = [
    b"", b"null", b"[]", b'"x"', b"1", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 5_000, b'{"preferred": 1}',
    b'{"session_id": "\\ud800", "preferred": "\\udfff", "over": "c"}', b'{"shown": ["a"], "propensities": [NaN]}',
    b'{"shown": ["a"], "propensities": [1e400]}', b'{"shown": ["a"], "ranker_version": ' + b"9" * 4_000 + b"}",
    b'{"image_ids": ["\\ud83d"]}', b'{"image_id": {"a": [1, 2]}}', b'{"\\ud800": 1}',
]  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/pairs", "/v1/clicks", "/v1/impressions", "/v1/rank"])
@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_a_body_that_cannot_be_is_refused_in_one_sentence(api, path, body):
    answer = api.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert isinstance(answer.json()["detail"], str) and "\n" not in answer.json()["detail"]


@pytest.mark.parametrize(("path", "body", "sentence"), [
    ("/v1/pairs", b"{", "body: expected JSON; correct it"), ("/v1/images", b"{", "body: expected JSON; correct it"),
    ("/v1/pairs", b"[]", "body: expected a JSON object; send one"),
    ("/v1/images", b"null", "body: expected a JSON object; send one"),
])  # fmt: skip
def test_a_body_that_is_no_object_says_so(api, path, body, sentence):
    answer = api.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["detail"]) == (422, sentence)


def test_json_without_its_type_is_told_which(api):
    answer = api.post("/v1/pairs", content=b'{"preferred": "a", "over": "b"}')
    assert (answer.status_code, "send it with Content-Type: application/json" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize(("path", "body", "words"), [
    ("/v1/pairs", {"session_id": "s", "preferred": "a\nb", "over": "c"}, "preferred"),
    ("/v1/pairs", {"session_id": "s", "preferred": "tag-surgery", "over": "c"}, "kept for operations on tags"),
    ("/v1/pairs", {"preferred": "a", "over": "b", "ovre": "c"}, "ovre"),
    ("/v1/impressions", {"session_id": "s", "shown": ["a", "b"], "propensities": [1e-50, 1.0]}, "propensities.0"),
    ("/v1/impressions", {"shown": ["a", "b"], "propensities": [0.5]}, "one for each picture shown"),
])  # fmt: skip
def test_what_the_log_would_not_take_is_refused_and_named(api, path, body, words):
    answer = api.post(path, json=body)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_what_the_api_takes_is_in_the_log_as_it_was(tmp_path):
    service = make_service(tmp_path)
    with client_of(service) as client:
        shown = client.post("/v1/impressions", json={"shown": ["a", "b"], "propensities": [1.0, 0.5]}).json()
        client.post("/v1/clicks", json={"impression_id": shown["event_id"], "image_id": "b"})
        client.post("/v1/pairs", json={"preferred": "a/b", "over": ".."})
    events = [json.loads(sent.value) for sent in service.writer.acknowledged]
    assert events == [
        {
            "impression_id": shown["event_id"],
            "session_id": "anonymous",
            "shown": ["a", "b"],
            "propensities": [1.0, 0.5],
        },
        {"impression_id": shown["event_id"], "session_id": "anonymous", "image_id": "b"},
        {"session_id": "anonymous", "preferred": "a/b", "over": ".."},
    ]


@pytest.mark.parametrize("path", [
    "/v1/search/tag?tag=cat&offest=20", "/v1/images/x?offest=1", "/v1/tags?offest=1", "/v1/tags/cat?offest=1",
    "/v1/status?offest=1", "/v1/search/id/x?offest=1", "/v1/waiting?offest=1",
])  # fmt: skip
def test_an_unknown_parameter_is_refused_by_name(api, path):
    answer = api.get(path)
    assert answer.status_code == 422
    assert "'offest'" in answer.json()["detail"]


def test_a_parameter_that_is_nearly_right_is_asked_about(api):
    assert "did you mean limit?" in api.get("/v1/tags?limt=3").json()["detail"]
    assert api.get("/v1/waiting?cursor=abc").status_code == 422


def test_bodies_have_limits_of_their_own(tmp_path):
    with client_of(make_service(tmp_path, max_body_bytes=3_000, max_json_bytes=1_000)) as client:
        assert client.post("/v1/predict", content=b"pic" + b"x" * 2_997).status_code == 200
        for path, content in [("/v1/predict", b"pic" + b"x" * 2_998), ("/v1/rank", b" " * 1_001)]:
            answer = client.post(path, content=content, headers={"content-type": "image/png"})
            assert answer.status_code == 413
            assert "expected at most" in answer.json()["detail"]
        chunks = (b"x" * 100 for _ in range(100))  # of a length that nobody says
        assert client.post("/v1/predict", content=chunks).status_code == 413


class Reading:
    """An application that reads a body, and may be kept from answering."""

    def __init__(self):
        self.read = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def __call__(self, scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        self.read.set()
        await self.may_answer.wait()


def sender(*parts, then_wait=False):
    left = list(parts)

    async def receive():
        if not left:
            await asyncio.Event().wait()
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left) or then_wait}

    return receive


SCOPE = {"type": "http", "path": "/v1/predict", "headers": []}


async def nothing(message):
    """What is sent, nobody looks at here."""


def test_a_body_that_stays_unfinished_is_given_up():
    async def run():
        bodies = Bodies(Reading(), ServeSettings(body_timeout_s=0.05))
        with pytest.raises(HTTPException) as refused:
            await bodies(dict(SCOPE), sender(b"x", then_wait=True), nothing)
        return refused.value

    refused = asyncio.run(run())
    assert refused.status_code == 408
    assert refused.headers == {"Connection": "close"}


def test_all_bodies_in_flight_take_bounded_memory_together():
    async def run():
        app = Reading()
        bodies = Bodies(app, ServeSettings(bodies_bytes=1_000_000))
        first = asyncio.create_task(bodies(dict(SCOPE), sender(b"x" * 600_000), nothing))
        await app.read.wait()
        with pytest.raises(HTTPException) as refused:
            await bodies(dict(SCOPE), sender(b"x" * 300_000, b"x" * 100_001), nothing)
        app.may_answer.set()
        await bodies(dict(SCOPE), sender(b"x" * 400_000), nothing)
        await first
        await bodies(dict(SCOPE), sender(b"x" * 1_000_000), nothing)
        return refused.value

    refused = asyncio.run(run())
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize("path", [
    "/v1/images?limit=1&limit=2", "/v1/search/tag?tag=cat&tag=dog", "/v1/images/a/bytes?size=64&size=99",
])  # fmt: skip
def test_a_parameter_that_counts_once_is_refused_where_it_comes_twice(api, path):
    answer = api.get(path)
    assert (answer.status_code, "given 2 times; expected once" in answer.json()["detail"]) == (422, True)


def test_a_parameter_that_may_be_repeated_may(api):
    assert api.get("/v1/images?with=a&with=b&metadata=x=1&metadata=y=2").status_code == 200


@pytest.mark.parametrize("path", ["/v1/images", "/v1/search/image", "/v1/predict"])
def test_a_form_and_compressed_bytes_are_refused_with_the_remedy(api, path):
    form = api.post(path, files={"file": b"pic1"})
    assert (form.status_code, "curl --data-binary @cat.jpg" in form.json()["detail"]) == (415, True)
    packed = api.post(path, content=gzip.compress(b"pic1"), headers={"Content-Encoding": "gzip"})
    assert (packed.status_code, "without Content-Encoding" in packed.json()["detail"]) == (415, True)
    assert api.post(path, content=b"pic1", headers={"Content-Encoding": "identity"}).status_code < 300


def test_json_has_its_limit_however_its_type_is_written(api):
    answer = api.post("/v1/images", content=b"{" + b" " * 1_000_001, headers={"Content-Type": "Application/JSON"})
    assert answer.status_code == 413
