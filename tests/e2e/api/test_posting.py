"""Pictures posted, tagged, shown and deleted over HTTP alone, beside a running service."""

import hashlib
import time

import cv2
import httpx
import numpy as np

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
    upload = service.data_dir / "uploads" / hashlib.sha256(content).hexdigest()
    assert upload.exists()
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
    service.post("/v1/images", content=drawing(701), id="web/tagged", wait="searchable")
    assert httpx.put(path, json={"tags": ["Web Dog", "x"]}, trust_env=False).status_code == 202
    wait_for(lambda: service.get("/v1/images/web%2Ftagged").json()["tags"] == ["web dog", "x"], "the tags")
    assert httpx.delete(path, params={"tags": "x"}, trust_env=False).status_code == 202
    wait_for(lambda: service.get("/v1/images/web%2Ftagged").json()["tags"] == ["web dog"], "the tag to go")
