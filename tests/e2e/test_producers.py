"""Producers that know nothing of our code: plain kafka-python, and kcat."""

import base64
import json
import shutil
import subprocess
import uuid

import httpx
import pytest
from kafka import KafkaProducer

from tests.cluster import Cluster, kafka_skip_reason, real_kafka, wait_for
from tests.e2e.conftest import drawing
from tests.e2e.recipes import recipe


def test_a_plain_kafka_python_producer(service):
    producer = KafkaProducer(bootstrap_servers=service.bootstrap)
    picture, image_id = drawing(20), f"plain-{uuid.uuid4()}"
    common = [("ce_specversion", b"1.0"), ("ce_source", b"/shop")]
    posted = [
        *common,
        ("ce_id", b"1"),
        ("ce_type", b"mekiki.image.posted.v1"),
        ("ce_subject", image_id.encode()),
        ("content-type", b"image/png"),
    ]
    producer.send("mekiki.images.v1", picture, key=image_id.encode(), headers=posted).get(10)
    tagged = [*common, ("ce_id", b"2"), ("ce_type", b"mekiki.tags.applied.v1"), ("content-type", b"application/json")]
    body = json.dumps({"image_id": image_id, "tags": ["Shop", "夏"], "by": "clerk"}).encode()
    producer.send("mekiki.images.v1", body, key=image_id.encode(), headers=tagged).get(10)
    wait_for(lambda: service.tagged(image_id, "夏"), "the tags")
    assert service.get(f"/v1/images/{image_id}").json()["tags"] == ["shop", "夏"]
    assert service.get(f"/v1/images/{image_id}/bytes").content == picture
    deleted = [*common, ("ce_id", b"3"), ("ce_type", b"mekiki.image.deleted.v1"), ("content-type", b"application/json")]
    body = json.dumps({"image_id": image_id}).encode()
    producer.send("mekiki.images.v1", body, key=image_id.encode(), headers=deleted).get(10)
    producer.close(timeout=5)
    wait_for(lambda: not service.has(image_id), "the deletion")
    assert service.get(f"/v1/images/{image_id}/bytes").status_code == 404
    assert service.get(f"/v1/search/id/{image_id}").status_code == 404
    found = service.post("/v1/search/image", content=picture, limit=50).json()["results"]
    assert image_id not in [result["image_id"] for result in found]
    wait_for(lambda: service.get("/v1/tags/shop").json().get("count", 0) == 0, "the learner to forget")


def test_a_structured_event(service):
    producer = KafkaProducer(bootstrap_servers=service.bootstrap)
    event = {
        "specversion": "1.0",
        "id": "s1",
        "source": "/archive",
        "type": "mekiki.image.posted.v1",
        "subject": "structured",
        "datacontenttype": "image/jpeg",
        "data_base64": base64.b64encode(drawing(21, ".jpg")).decode(),
    }
    named = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    producer.send("mekiki.images.v1", json.dumps(event).encode(), key=b"structured", headers=named).get(10)
    producer.close(timeout=5)
    wait_for(lambda: service.has("structured"), "the structured event")


@pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed (Debian package kcat)")
@pytest.mark.skipif(kafka_skip_reason() is not None, reason=kafka_skip_reason() or "")
def test_kcat_and_apache_kafka(tmp_path):
    """Debian's kcat cannot shake hands with the embedded broker, so this one runs on the real thing."""
    with real_kafka(tmp_path) as bootstrap:
        cluster = Cluster(bootstrap, tmp_path / "data", embedded=False)
        try:
            cluster.start("index", "ingest", "tags", "ranking", "serve")
            _post_with_kcat(cluster, tmp_path)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{cluster.log('ingest')}\n{cluster.log('serve')}") from error
        finally:
            cluster.close()


def _post_with_kcat(cluster, folder):
    def kcat(topic, *headers, source):
        options = [item for header in ("ce_specversion=1.0", "ce_source=/kcat", *headers) for item in ("-H", header)]
        command = ["kcat", "-b", cluster.settings.kafka.bootstrap_servers, "-t", cluster.settings.topic(topic), "-P"]
        subprocess.run([*command, "-k", "by-kcat", *options, str(source)], check=True, timeout=30)

    def ask(path, **params):
        try:
            return httpx.get(cluster.settings.serve.url + path, params=params or None, trust_env=False, timeout=10)
        except httpx.TransportError:
            return httpx.Response(503)  # not up yet

    picture, body = folder / "picture.png", folder / "tags.json"
    picture.write_bytes(drawing(22))
    body.write_text('{"image_id": "by-kcat", "tags": ["kettle"]}')
    kcat("images", "ce_id=1", "ce_type=mekiki.image.posted.v1", "content-type=image/png", source=picture)
    wait_for(lambda: ask("/v1/images/by-kcat").status_code == 200, "kcat's picture")
    kcat("images", "ce_id=2", "ce_type=mekiki.tags.applied.v1", "content-type=application/json", source=body)
    wait_for(lambda: ask("/v1/search/tag", tag="kettle").status_code == 200, "the new tag")
    assert ask("/v1/search/tag", tag="kettle").json()["results"][0]["image_id"] == "by-kcat"
    assert ask("/v1/images/by-kcat").json()["tags"] == ["kettle"]
    (folder / "cat.jpg").write_bytes(drawing(23, ".jpg"))
    images = {"mekiki.images.v1": cluster.settings.topic("images")}
    command = recipe("api.md", "With kcat", **{"$BROKER": cluster.settings.kafka.bootstrap_servers}, **images)
    subprocess.run(["bash", "-ec", command], cwd=folder, check=True, timeout=60)
    wait_for(lambda: ask("/v1/images/cats%2F3.jpg").status_code == 200, "the recipe's picture")
    wait_for(lambda: ask("/v1/images/cats%2F3.jpg").json()["tags"] == ["cat", "pet"], "its tag")
