"""Objects over HTTP: images found by a part of them, and what can be seen in a picture."""

from dataclasses import replace

import numpy as np
import pytest

from models.quantise import quantise
from models.tagging.examples import Example
from models.tagging.tagger import Tagger
from search.served import ServedTagger
from stream.index.objects import ImageObjects
from stream.index.payload import IndexRecord
from tests.fakes import D, payload, unit
from tests.unit.search.api import client_of, make_service, put

BOXES = ((0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 0.25, 0.25))


def cut(service, image_id, *vectors, sha256=None):
    """Give an image objects, of its own bytes unless others are named."""
    of = service.index.fetch([image_id])[image_id].payload.sha256 if sha256 is None else sha256
    service.objects.write([ImageObjects(image_id, 1, of, BOXES[: len(vectors)], np.stack(vectors))], [])


@pytest.fixture
def service(tmp_path):
    return make_service(tmp_path)


@pytest.fixture
def api(service):
    with client_of(service) as client:
        yield client


@pytest.fixture
def query(service):
    """The vector of the picture that is searched for."""
    return service.searcher.embedder.embed(b"pic1")


def found(api, **asked):
    answer = api.post("/v1/search/image", content=b"pic1", params=asked)
    assert answer.status_code == 200, answer.text
    return {one["image_id"]: (one["score"], one["box"]) for one in answer.json()["results"]}


def test_an_image_is_found_by_a_part_of_it_which_is_named(service, api, query):
    put(service, "scene", b"pic8")
    put(service, "other", b"pic9")
    cut(service, "scene", unit(77), query)
    assert found(api, objects=True)["scene"] == (pytest.approx(1.0, abs=1e-3), list(BOXES[1]))
    assert found(api)["scene"][1] is None
    whole = found(api)
    assert found(api, objects=True)["other"] == whole["other"]
    crop = api.post("/v1/search/image", content=b"pic1", params={"crop": "0,0,0.5,0.5", "objects": False}).json()
    assert all(one["box"] is None for one in crop["results"])


def test_a_crop_looks_for_objects_too(service, api):
    put(service, "scene", b"pic8")
    cut(service, "scene", service.searcher.embedder.embed(b"pic1", (0.0, 0.0, 0.5, 0.5)))
    assert found(api, crop="0,0,0.5,0.5")["scene"][1] == list(BOXES[0])
    put(service, "asked", b"pic1")
    page = api.get("/v1/search/id/asked", params={"crop": "0,0,0.5,0.5"}).json()
    assert next(one["box"] for one in page["results"] if one["image_id"] == "scene") == list(BOXES[0])


def test_objects_of_what_was_deleted_or_replaced_are_never_found(service, api, query):
    put(service, "deleted", b"pic7")
    put(service, "replaced", b"pic8")
    cut(service, "deleted", query)
    cut(service, "replaced", query, sha256="old")
    service.index.write([IndexRecord("deleted", 2, deleted=True)], [])
    assert "deleted" not in found(api, objects=True)
    assert found(api, objects=True)["replaced"] == found(api)["replaced"]


def test_filters_hold_for_images_found_by_a_part(service, api, query):
    for name, tags in (("cat", ("cat",)), ("dog", ("dog",))):
        put(service, name, name.encode().replace(b"c", b"picc").replace(b"d", b"picd"), tags=tags)
        cut(service, name, query)
    assert set(found(api, objects=True, **{"with": "dog"})) == {"dog"}
    assert found(api, objects=True, **{"with": "dog", "min_score": 0.99})["dog"][1] == list(BOXES[0])


def test_many_objects_fill_pages_without_repeats(service, api, query):
    for n in range(30):
        put(service, f"s{n:02}", b"pic" + bytes([n]))
        cut(service, f"s{n:02}", query + 0.01 * unit(n))
    seen, cursor = [], None
    while True:
        asked = {"objects": True, "limit": 7, "collapse": "none"} | ({"cursor": cursor} if cursor else {})
        page = api.post("/v1/search/image", content=b"pic1", params=asked).json()
        seen += [one["image_id"] for one in page["results"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(set(seen))
    assert len(seen) == 30


def near(seed, at):
    """One of many vectors like another."""
    vector = unit(at) + 0.1 * unit(10_000 + seed)
    return vector / np.linalg.norm(vector)


def taught(service):
    """The service with a tagger that knows cats when it sees one."""
    tagger = Tagger(dimension=D)
    for n in range(300):
        kind = n % 3
        vector = quantise(near(n, kind)[None])[0]
        tagger.learn_many([Example(f"t{n}", vector, (("dog",), ("cat",), ("cow",))[kind], complete=True)], n)
    service.served.tagger = ServedTagger(tagger.predictor())


def test_what_can_be_seen_in_an_image(service, api):
    taught(service)
    put(service, "scene", b"pic8")
    page = api.get("/v1/images/scene/objects").json()
    assert (page["objects"], page["state"]) == ([], "coming")
    cat = unit(1)
    for n in range(6):
        known = replace(payload(tags=("cat",)), sha256=f"{n}" * 64)
        service.index.write([IndexRecord(f"cat{n}", 1, known, cat)], [])
    cut(service, "scene", unit(9_999), cat)
    page = api.get("/v1/images/scene/objects", params={"all": True}).json()
    assert page["state"] == "there"
    assert [one["box"] for one in page["objects"]] == [list(BOXES[1]), list(BOXES[0])]
    first = page["objects"][0]
    assert first["tags"][0]["tag"] == "cat"
    assert first["vouched"] > 0.9
    shown = api.get("/v1/images/scene/objects").json()["objects"]
    assert [one["box"] for one in shown] == [list(BOXES[1])]


def test_what_can_be_seen_in_an_upload(service, api):
    page = api.post("/v1/objects", content=b"pic\x021", params={"all": True}).json()
    assert ([len(one["box"]) for one in page["objects"]], page["state"]) == ([4, 4], "there")
    assert api.post("/v1/objects", content=b"no picture").status_code == 400
    assert api.get("/v1/images/nobody/objects").status_code == 404


def test_status_counts_images_with_objects(service, api):
    assert api.get("/v1/status").json()["images_with_objects"] == 0
    put(service, "scene", b"pic8")
    cut(service, "scene", unit(1))
    assert api.get("/v1/status").json()["images_with_objects"] == 1
