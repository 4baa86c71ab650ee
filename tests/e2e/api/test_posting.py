"""Pictures posted, tagged, shown and deleted over HTTP alone, beside a running service."""

import hashlib
import json
import time

import cv2
import httpx
import numpy as np

from search.client import Client
from tests.cluster import wait_for
from tests.e2e.conftest import drawing


def test_what_is_posted_can_be_found_when_the_answer_says_so(service):
    content = drawing(700, ".jpg")
    asked = {"id": "web/kühe & co/1.jpg", "tags": ["web cow"], "wait": "searchable"}
    answer = service.post("/v1/images", content=content, **asked)
    assert (answer.status_code, answer.json()["image_id"]) == (201, asked["id"])
    (found, *_) = service.post("/v1/search/image", content=content, limit=1).json()["results"]
    assert (found["image_id"], found["tags"]) == (asked["id"], ["web cow"])
    assert service.get(found["bytes_url"]).content == content
    thumbnail = service.get(found["bytes_url"], size=100).content
    assert cv2.imdecode(np.frombuffer(thumbnail, np.uint8), cv2.IMREAD_COLOR).shape == (100, 100, 3)


def test_a_large_one_too(service):
    noise = np.random.default_rng(5).integers(0, 255, (900, 900, 3), np.uint8)
    content = cv2.imencode(".png", noise)[1].tobytes()
    assert service.post("/v1/images", content=content, id="web/large", wait="searchable").status_code == 201
    assert service.get("/v1/images/web%2Flarge/bytes").content == content
    (upload,) = (service.data_dir / "uploads").glob(f"{hashlib.sha256(content).hexdigest()}-*")
    assert httpx.delete(f"{service.url}/v1/images/web%2Flarge", trust_env=False).status_code == 202
    wait_for(lambda: service.get("/v1/images/web%2Flarge").status_code == 404, "the deletion")
    wait_for(lambda: not upload.exists(), "the upload to go")


def test_what_is_dead_says_why(service):
    started_s = time.monotonic()
    answer = service.post("/v1/images", content=b"no picture at all", id="web/dead", wait="searchable")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("dead: ")
    assert time.monotonic() - started_s < 10
    body = {"image_id": "web/outside", "dataref": "file:///etc/hostname"}
    answer = service.post("/v1/images", json=body, wait="searchable")
    assert (answer.status_code, "DATAREF_ROOTS" in answer.json()["detail"]) == (422, True)


def test_tags_come_and_go(service):
    path = service.url + "/v1/images/web%2Ftagged/tags"
    assert service.post("/v1/images", content=drawing(701), id="web/tagged", wait="searchable").status_code == 201
    assert httpx.put(path, json={"tags": ["Web Dog", "x"]}, trust_env=False).status_code == 202
    wait_for(lambda: service.get("/v1/images/web%2Ftagged").json()["tags"] == ["web dog", "x"], "the tags")
    assert httpx.delete(path, params={"tags": "x"}, trust_env=False).status_code == 202
    wait_for(lambda: service.get("/v1/images/web%2Ftagged").json()["tags"] == ["web dog"], "the tag to go")


def test_what_is_waited_for_is_done_when_the_answer_comes(service):
    url, wait = service.url + "/v1/images/web%2Fwaited", {"wait": "searchable"}

    def ask(method, path="", **how):
        answer = httpx.request(method, url + path, trust_env=False, timeout=60, **how)
        return answer.status_code, answer.json().get("detail")

    content = drawing(702)
    service.post("/v1/images", content=content, id="web/waited", tags="early", **wait)
    assert ask("PUT", "/tags", json={"tags": ["Late One"]}, params=wait) == (200, None)
    assert service.get("/v1/images/web%2Fwaited").json()["tags"] == ["early", "late one"]
    assert ask("DELETE", "/tags", params={"tags": "early", **wait}) == (200, None)
    assert service.get("/v1/images/web%2Fwaited").json()["tags"] == ["late one"]
    assert ask("DELETE", params=wait) == (200, None)
    assert service.get("/v1/images/web%2Fwaited").status_code == 404
    found = service.post("/v1/search/image", content=content, limit=5, collapse="none").json()["results"]
    assert "web/waited" not in [one["image_id"] for one in found]
    status, detail = ask("PUT", "/tags", json={"tags": ["x"]}, params=wait)
    assert (status, detail.startswith("dead: ")) == (422, True)
    assert ask("DELETE", params=wait) == (200, None)


def test_tags_for_a_picture_that_is_not_there_are_said_to_wait_for_it(service):
    url = service.url + "/v1/images/web%2Fnever/tags"
    answer = httpx.put(url, json={"tags": ["x"]}, params={"wait": "searchable"}, trust_env=False, timeout=60)
    assert answer.status_code == 202
    assert "waits for it in the log" in answer.json()["detail"]
    assert httpx.delete(url.removesuffix("/tags"), params={"wait": "searchable"}, trust_env=False).status_code == 200


def test_what_is_said_of_pictures_filters_searches_and_lists(service):
    content = drawing(703)
    said = {
        "web/said/1": {"title": "Fuchs im Schnee", "author": "Ada Lovelace", "metadata": ["iso=200", "lens=50 mm"]},
        "web/said/2": {"title": "赤い狐", "source_url": "https://photos.example/2", "metadata": ["iso=400"]},
        "web/said/3": {},
    }
    for number, (image_id, known) in enumerate(said.items()):
        answer = service.post("/v1/images", content=drawing(704 + number), id=image_id, wait="searchable", **known)
        assert answer.status_code == 201

    def found(**asked):
        ways = [
            service.post("/v1/search/image", content=content, limit=50, **asked).json()["results"],
            service.get("/v1/search/id/web%2Fsaid%2F3", limit=50, **asked).json()["results"],
            service.get("/v1/images", limit=50, **asked).json()["images"],
        ]
        ids = [[one["image_id"] for one in way if one["image_id"].startswith("web/said/")] for way in ways]
        assert all(set(one) == set(ids[0]) for one in ids)
        return sorted(ids[0])

    assert found(title="schnee fuchs") == found(author="LOVELACE") == found(metadata="iso=200") == ["web/said/1"]
    assert found(title="狐") == found(source_url="photos.example") == found(metadata="iso=4e2") == ["web/said/2"]
    assert found(title="fuchs", metadata=["iso=200", "lens=50 mm"]) == ["web/said/1"]
    assert found(title="fuchs", metadata=["iso=200", "lens=35 mm"]) == []
    first = service.get("/v1/images", title="fuchs").json()["images"][0]
    assert (first["title"], first["author"], first["metadata"]["iso"]) == ("Fuchs im Schnee", "Ada Lovelace", "200")
    for wrong in ({"title": "!?"}, {"metadata": "iso"}, {"metadata": "=1"}, {"author": " "}):
        answer = service.get("/v1/images", **wrong)
        assert (answer.status_code in (400, 422), "expected" in answer.json()["detail"]) == (True, True)

    table = service.cli("search", "--id", "web/said/3", "--title", "fuchs", COLUMNS="80")
    assert "Fuchs im Schnee" in table and max(map(len, table.splitlines())) <= 80
    listed = json.loads(service.cli("images", "list", "--metadata", "iso=400", "--json"))
    assert [one["image_id"] for one in listed] == ["web/said/2"]
    with Client(service.url) as mekiki:
        assert [one.image_id for one in mekiki.images(metadata={"iso": 400})] == ["web/said/2"]
        page = mekiki.search_image(content, title="fuchs", source_url="photos.example", min_score=-1)
        assert page.results == []
