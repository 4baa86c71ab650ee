"""Searches by words over HTTP, and completions."""

import pytest

from models.quantise import quantise
from models.tagging.examples import Example
from models.tagging.tagger import Tagger
from search.served import ServedTagger
from stream.index.payload import IndexRecord
from tests.fakes import D, payload, unit
from tests.unit.search.api import client_of, make_service

COUNT = 40
TITLES = {1: "Fuchs im Schnee", 3: "Ein Fuchs", 5: "Schnee"}


def tags_of(number):
    """Every second is red, every third round; 0 to 9 are learned alone, and the index knows no tags of 20 on."""
    return ("red",) * (number % 2 == 0) + ("round",) * (number % 3 == 0)


def image(number):
    known = {
        "tags": tags_of(number) if number < 20 else (),
        "sha256": f"{number:064x}",
        "title": TITLES.get(number, ""),
    }
    return IndexRecord(f"i/{number}", 1, payload(**known), unit(number))


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = make_service(tmp_path_factory.mktemp("api"))
    tagger = Tagger(dimension=D)
    vectors = quantise(unit(0)[None])
    examples = [Example(f"i/{n}", quantise(unit(n)[None])[0], tags_of(n)) for n in range(20) if tags_of(n)]
    tagger.learn_many([*examples, Example("kana", vectors[0], ("まるい",))], 0)
    service.served.tagger = ServedTagger(tagger.predictor())
    service.index.write([image(number) for number in range(COUNT)], [])
    return service


@pytest.fixture(scope="module")
def api(service):
    with client_of(service) as client:
        yield client


def found(api, q, **asked):
    answer = api.get("/v1/search", params={"q": q, "limit": 100, "collapse": "none", **asked})
    assert answer.status_code == 200, answer.text
    return [int(row["image_id"][2:]) for row in answer.json()["results"]], answer.json()


def test_pictures_that_carry_all_tags_come_first_then_the_probable(api, service):
    numbers, page = found(api, "red round")
    both = [n for n in range(20) if n % 6 == 0]
    assert set(numbers[: len(both)]) == set(both) and sorted(numbers) == list(range(COUNT))
    predictor = service.searcher.tagger()
    scores = [float(predictor.scores(["red", "round"], unit(n)[None]).prod()) for n in both]
    assert sorted(round(s, 6) for s in scores) == sorted(row["score"] for row in page["results"][: len(both)])
    rest = [row["score"] for row in page["results"][len(both) :]]
    assert rest == sorted(rest, reverse=True)
    assert [(word["text"], word["tag"]) for word in page["words"]] == [("red", "red"), ("round", "round")]
    assert page["tagger_version"] == predictor.snapshot.version


def test_of_a_picture_that_carries_one_tag_the_other_decides(api, service):
    predictor = service.searcher.tagger()
    _, page = found(api, "red round")
    by_id = {row["image_id"]: row["score"] for row in page["results"]}
    assert by_id["i/2"] == pytest.approx(float(predictor.score("round", unit(2)[None])[0]), abs=1e-6)
    _, alone = found(api, "red round", order="probability")
    product = predictor.scores(["red", "round"], unit(2)[None]).prod()
    assert next(row["score"] for row in alone["results"] if row["image_id"] == "i/2") == pytest.approx(
        product, abs=1e-6
    )
    scores = [row["score"] for row in alone["results"]]
    assert scores == sorted(scores, reverse=True)


def test_one_word_is_a_search_by_its_tag(api):
    by_tag = api.get("/v1/search/tag", params={"tag": "red", "limit": 20}).json()["results"]
    assert found(api, "red", limit=20, collapse="exact")[1]["results"] == by_tag


@pytest.mark.parametrize(("q", "holds"), [
    ("fuchs", {1, 3}), ("FUCHS schnee", {1}), ("schnee -fuchs", {5}), ("schnee -im", {5}), ("red fuchs", {1, 3}),
    ("fuchs -round", {1}), ("fuchs like:i/3", {1}), ("fuchs -like:i/3", {1}),
])  # fmt: skip
def test_words_of_titles_leave_those_that_have_them(api, q, holds):
    assert set(found(api, q)[0]) == holds


def test_what_is_unwanted_is_left_out(api):
    numbers, page = found(api, "red -round -zebra")
    assert set(numbers) == {n for n in range(COUNT) if n >= 20 or n % 3}
    assert [(word["means"], word["without"]) for word in page["words"]] == [
        ("tag", False),
        ("tag", True),
        ("nothing", True),
    ]


def test_words_and_examples_go_together(api):
    numbers, page = found(api, "like:i/7 -like:i/8")
    assert numbers == found(api, "", like="i/7", unlike="i/8")[0] and not {7, 8} & set(numbers)
    mixed = found(api, "red like:i/7")[0]
    assert len(mixed) == COUNT - 1 and mixed not in (found(api, "like:i/7")[0], found(api, "red")[0])
    assert mixed == found(api, "red", like="i/7")[0]
    assert page["words"][0] == {
        "text": "i/7", "means": "image", "tag": "", "how": None, "without": False, "nearest": [],
    }  # fmt: skip
    assert api.get("/v1/search", params={"q": "like:nobody"}).status_code == 404


def test_unknown_words_are_said_with_what_is_near_and_the_others_searched(api):
    numbers, page = found(api, "rund red")
    assert numbers == found(api, "red")[0]
    assert (page["words"][0]["means"], page["words"][0]["nearest"]) == ("nothing", ["round"])
    assert found(api, "rund")[0] == [] and found(api, "rund")[1]["words"][0]["nearest"] == ["round"]
    assert found(api, "marui")[1]["words"][0]["tag"] == "まるい"


@pytest.mark.parametrize(("q", "words"), [
    ("-", "expected a word"), ("- - -", "expected a word"), ('""', "expected a word"),
    ("-red", "something to look for"),
    ("", "something to look for"), ("-zebra -red", "something to look for"),
    ("a " * 60, "q of 60 words: expected at most 50"),
])  # fmt: skip
def test_what_says_nothing_to_look_for_is_refused(api, q, words):
    answer = api.get("/v1/search", params={"q": q})
    assert (answer.status_code, words in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    "q", ["a\0b", "\x1b[31m red", '"never closed', "x" * 1_000, "tag:", "like", "�", "\u202e", "%", "🐱‍"]
)
def test_odd_words_have_a_sensible_reading(api, q):
    found(api, q)


@pytest.mark.parametrize("path", ["/v1/search", "/v1/suggest"])
def test_ten_thousand_letters_are_refused_in_a_sentence(api, path):
    answer = api.get(path, params={"q": "x" * 10_000})
    assert (answer.status_code, "at most 1000 characters" in answer.json()["detail"]) == (422, True)


def test_pages_go_on_by_their_cursor(api):
    first, page = found(api, "red round", limit=15)
    second, _ = found(api, "red round", limit=15, cursor=page["cursor"])
    assert first + second == found(api, "red round", limit=30)[0]
    one, page = found(api, "fuchs", limit=1)
    assert set(one + found(api, "fuchs", limit=1, cursor=page["cursor"])[0]) == {1, 3}


def test_completions_carry_counts(api):
    page = api.get("/v1/suggest", params={"q": "round r"}).json()
    assert page["suggestions"][:2] == [
        {"q": "round red", "name": "red", "tag": "red", "images": 10},
        {"q": "round round", "name": "round", "tag": "round", "images": 7},
    ]
    assert len(api.get("/v1/suggest", params={"q": "r", "limit": 1}).json()["suggestions"]) == 1
    assert api.get("/v1/suggest", params={"q": "zzz"}).json()["suggestions"] == []


def test_a_new_version_has_its_new_names(tmp_path):
    service = make_service(tmp_path)
    with client_of(service) as client:
        assert client.get("/v1/suggest", params={"q": "ze"}).json()["suggestions"] == []
        tagger = Tagger(dimension=D)
        tagger.learn_many([Example("a", quantise(unit(1)[None])[0], ("zebra",))], 0)
        service.served.tagger = ServedTagger(tagger.predictor())
        assert [one["tag"] for one in client.get("/v1/suggest", params={"q": "ze"}).json()["suggestions"]] == ["zebra"]
        assert client.get("/v1/suggest", params={"q": "ca"}).json()["suggestions"] == []
        service.served.tagger = None
        assert client.get("/v1/suggest", params={"q": "ze"}).status_code == 503
        assert client.get("/v1/search", params={"q": "ze"}).status_code == 503
