"""Ingest that stopped for too many dead letters: the rest lives on, and an operator lets it go on."""

import socket

import httpx
from kafka import KafkaProducer

from stream.events.codec import encode
from stream.events.schema import ImagePosted
from stream.log.embedded_broker import free_port
from tests.cluster import wait_for
from tests.e2e.conftest import Service, drawing


def free_ports(count):
    """The first of some free ports, one after another."""
    while True:
        first = free_port()
        try:
            for number in range(count):
                with socket.socket() as taken:
                    taken.bind(("127.0.0.1", first + number))
            return first
        except OSError:
            continue


def test_search_lives_on_where_ingest_stopped_and_an_operator_lets_it_go_on(tmp_path):
    breaker = {"MEKIKI_INGEST__BREAKER_RECORDS": "10", "MEKIKI_INGEST__BREAKER_SHARE": "0.5"}
    port = free_ports(3)
    service = Service(tmp_path / "data", **breaker, MEKIKI_METRICS_PORT=str(port)).start()
    try:
        for number, sample in enumerate(("mekiki_stage_seconds", "mekiki_examples_total", "mekiki_pairs_total")):
            shown = httpx.get(f"http://127.0.0.1:{port + number}/metrics", trust_env=False).text
            assert f"# HELP {sample.removesuffix('_total')}" in shown
        pictures = tmp_path / "pictures"
        pictures.mkdir()
        (pictures / "good.png").write_bytes(drawing(1))
        service.cli("post", str(pictures / "good.png"), "--id", "good")
        wait_for(lambda: service.has("good"), "the picture")
        producer = KafkaProducer(bootstrap_servers=service.bootstrap)
        for number in range(30):
            key, value, headers = encode(ImagePosted(image_id=f"bad{number}", content=b"no picture"), source="test")
            producer.send("mekiki.images.v1", value, key=key, headers=headers)
        producer.close(timeout=20)
        wait_for(lambda: service.get("/readyz").status_code == 503, "the worker to stop")
        assert "ingest: stopped (dead letters: " in service.get("/readyz").json()["detail"]
        assert service.get("/v1/search/id/good").status_code == 200
        assert "then `mekiki dlq resume`" in service.cli("status")
        assert "ingest: going on" in service.cli("dlq", "resume")
        (pictures / "after.png").write_bytes(drawing(2))
        service.cli("post", str(pictures / "after.png"), "--id", "after")
        wait_for(lambda: service.has("after"), "the next picture")
        assert service.get("/readyz").status_code == 200
        assert len(service.letters()) == 30
        assert service.cli("dlq", "resume").strip() == "nothing is stopped"
    finally:
        assert service.stop() == 0, service.output.read_text()
