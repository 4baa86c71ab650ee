"""Searches over HTTP: which images, how unlike each other, and page after page while pictures arrive."""

import base64

import numpy as np
import pytest

from models.look import LOOK_BYTES
from models.quantise import dequantise, quantise
from stream.index.payload import IndexRecord
from tests.fakes import payload, unit
from tests.unit.search.api import client_of, make_service

COUNT = 60


def noise(seed):
    """A look like no other."""
    return base64.b64encode(np.random.default_rng(seed).bytes(LOOK_BYTES)).decode()


def image(number, **known):
    """Every third is red, every fifth is new, every second is wide."""
    tags = ("red",) * (number % 3 == 0) + ("round",) * (number % 4 == 0)
    posted_at = f"2026-11-{'20' if number % 5 == 0 else '10'}T12:00:00+00:00"
    fields = {"sha256": f"{number:064x}", "look": noise(number)}
    fields |= {"tags": tags, "posted_at": posted_at, "width_px": 200 if number % 2 else 100, "height_px": 100}
    return IndexRecord(f"i/{number}", 1, payload(**(fields | known)), unit(number))


def filled(folder):
    service = make_service(folder)
    service.index.write([image(number) for number in range(COUNT)], [])
    return service


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """That no test changes."""
    return filled(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def api(service):
    with client_of(service) as client:
        yield client


@pytest.fixture
def growing(tmp_path):
    """A service of the test's own, and its client."""
    service = filled(tmp_path)
    with client_of(service) as client:
        yield service, client


def numbers(answer):
    assert answer.status_code == 200, answer.text
    return [int(row["image_id"][2:]) for row in answer.json()["results"]]


def like(number, among):
    return sorted(among, key=lambda n: -float(unit(n) @ unit(number)))


EVERY = set(range(COUNT)) - {7}


@pytest.mark.parametrize(("asked", "holds"), [
    ({"with": "red"}, lambda n: n % 3 == 0), ({"tags": "red"}, lambda n: n % 3 == 0),
    ({"with": ["red", "Round"]}, lambda n: n % 12 == 0), ({"with": "red", "tags": "round"}, lambda n: n % 12 == 0),
    ({"without": "red"}, lambda n: n % 3), ({"without": ["red", "round"]}, lambda n: n % 3 and n % 4),
    ({"with": "red", "without": "round"}, lambda n: n % 3 == 0 and n % 4), ({"with": "never used"}, lambda n: False),
    ({"posted_after": "2026-11-20T12:00:00Z"}, lambda n: n % 5 == 0),
    ({"posted_after": "2026-11-20T13:00:00+01:00"}, lambda n: n % 5 == 0),
    ({"posted_after": "2026-11-20T12:00:01z"}, lambda n: False),
    ({"posted_before": "2026-11-20T11:59:59Z"}, lambda n: n % 5),
    ({"min_width": 200}, lambda n: n % 2), ({"min_height": 101}, lambda n: False),
    ({"aspect": "landscape"}, lambda n: n % 2), ({"aspect": "square"}, lambda n: n % 2 == 0),
    ({"aspect": "portrait"}, lambda n: False), ({"min_score": 0.2}, lambda n: float(unit(n) @ unit(7)) >= 0.2),
])  # fmt: skip
def test_only_what_is_asked_for_the_most_alike_first(api, asked, holds):
    answer = api.get("/v1/search/id/i%2F7", params={"limit": 100} | asked)
    assert numbers(answer) == like(7, [n for n in EVERY if holds(n)])


@pytest.mark.parametrize("asked", [
    {"posted_after": "yesterday"}, {"posted_before": "1763640000"}, {"posted_after": "2026-11-20T12:00:00"},
    {"min_score": 2}, {"min_width": 0}, {"aspect": "round"}, {"diverse": 1.1},
    {"cursor": "?"}, {"limit": 0}, {"limit": 201}, {"with": "x" * 101}, {"without": "\u0007"}, {"like": "i/1"},
])  # fmt: skip
def test_what_cannot_be_asked_is_refused_by_name(api, asked):
    answer = api.get("/v1/search/id/i%2F7", params=asked)
    assert answer.status_code in (400, 422)
    assert next(iter(asked)).split("_")[0][:4] in answer.json()["detail"] or "tag" in answer.json()["detail"]


@pytest.mark.parametrize(("liked", "unliked"), [([1], []), ([1, 2, 3], []), ([1, 2], [3]), ([1], [1])])
def test_several_examples_and_counterexamples(api, liked, unliked):
    wanted = np.mean([unit(n) for n in liked], axis=0)
    if unliked:
        wanted = 2 * wanted - np.mean([unit(n) for n in unliked], axis=0)
    among = set(range(COUNT)) - {*liked, *unliked}
    asked = {"like": [f"i/{n}" for n in liked], "unlike": [f"i/{n}" for n in unliked], "limit": 10}
    assert numbers(api.get("/v1/search", params=asked)) == sorted(among, key=lambda n: -float(unit(n) @ wanted))[:10]


def test_examples_beside_a_picture_that_is_uploaded(api, service):
    asked = {"like": "i/1", "unlike": "i/2", "limit": 5}
    uploaded = service.searcher.embedder.embed(b"pic1")
    wanted = uploaded + unit(1) - unit(2)
    among = set(range(COUNT)) - {1, 2}
    found = numbers(api.post("/v1/search/image", params=asked, content=b"pic1"))
    assert found == sorted(among, key=lambda n: -float(unit(n) @ wanted))[:5]


def test_examples_that_are_not_there_or_not_given_are_refused(api):
    assert api.get("/v1/search", params={"like": "nobody"}).status_code == 404
    answer = api.get("/v1/search", params={"unlike": "i/1"})
    assert (answer.status_code, "expected something to look for" in answer.json()["detail"]) == (400, True)


def test_results_unlike_each_other(tmp_path):
    """Ten images in three heaps: without diversity the first heap comes first, with it one of each."""
    service = make_service(tmp_path)
    heaps = [unit(1), unit(2), unit(3)]
    for number in range(12):
        near = heaps[number % 3] + 0.05 * unit(100 + number)
        vector = dequantise(quantise((near / np.linalg.norm(near))[None].astype(np.float32)))[0]
        known = image(number).payload
        service.index.write([IndexRecord(f"i/{number}", 1, known, vector)], [])
    with client_of(service) as client:
        asked = {"like": ["i/0"], "limit": 4}
        plain = numbers(client.get("/v1/search", params=asked))
        diverse = numbers(client.get("/v1/search", params=asked | {"diverse": 0.7}))
    assert {n % 3 for n in plain[:3]} == {0}
    assert plain[0] == diverse[0]
    assert {n % 3 for n in diverse[:3]} == {0, 1, 2}


@pytest.mark.parametrize("asked", [
    ("/v1/search/id/i%2F7", {}), ("/v1/search/tag", {"tag": "cat"}), ("/v1/search/id/i%2F7", {"rank": "taste"}),
    ("/v1/search/id/i%2F7", {"diverse": 0.5}), ("/v1/search/id/i%2F7", {"collapse": "near"}),
])  # fmt: skip
def test_pages_hold_everything_once_while_pictures_arrive_and_go(growing, asked):
    (service, api), (path, params) = growing, asked
    seen, cursor, arrived, pages = [], "", 100, 0
    while cursor is not None:
        answer = api.get(path, params=params | {"limit": 7, "cursor": cursor})
        seen += numbers(answer)
        cursor = answer.json()["cursor"]
        pages += 1
        near = [image(arrived + n, look=noise(arrived)) for n in range(2)]
        service.index.write(near if pages < 6 else [], [])
        arrived += 2
        if pages == 3:
            gone = next(n for n in range(COUNT) if n not in seen and n != 7)
            service.index.write([IndexRecord(f"i/{gone}", 2, deleted=True)], [])
    assert len(seen) == len(set(seen))
    left_out = {gone} | (set() if "tag" in path else {7})
    if params.get("collapse") != "near":
        assert set(range(COUNT)) - left_out <= set(seen)
    assert pages > 8


def test_a_copy_of_what_was_shown_is_not_shown_on_the_next_page(growing):
    service, api = growing
    first = api.get("/v1/search/id/i%2F7", params={"limit": 5}).json()
    best = int(first["results"][0]["image_id"][2:])
    copy = image(best)
    service.index.write([IndexRecord("i/500", 1, copy.payload, copy.vector)], [])
    second = api.get("/v1/search/id/i%2F7", params={"limit": 100, "cursor": first["cursor"]})
    assert 500 not in numbers(second)
    assert second.json()["cursor"] is None


def test_a_least_score_leaves_no_page_short_before_the_end(api):
    """Also by tag, where pictures that carry it come first and may be less probable."""
    asked = {"tag": "cat", "collapse": "none"}
    scores = [row["score"] for row in api.get("/v1/search/tag", params=asked | {"limit": 200}).json()["results"]]
    least = sum(sorted(scores)[COUNT // 2 - 1 : COUNT // 2 + 1]) / 2  # between two of them
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get("/v1/search/tag", params=asked | {"limit": 7, "min_score": least, "cursor": cursor}).json()
        assert all(row["score"] >= least for row in page["results"])
        seen += [row["image_id"] for row in page["results"]]
        cursor = page["cursor"]
    assert len(seen) == len(set(seen)) == COUNT // 2
