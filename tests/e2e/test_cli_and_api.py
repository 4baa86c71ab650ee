"""The way a person meets it: the command line through its process, the API over HTTP."""

import json
import shutil

import cv2
import numpy as np
import pytest
from kafka import KafkaProducer

from stream.events.codec import encode
from stream.events.schema import ImageDeleted
from tests.cluster import wait_for
from tests.e2e.conftest import drawing


@pytest.fixture(scope="module")
def pictures(service, tmp_path_factory):
    """Forty pictures posted by the command line, half of them tagged from a file."""
    folder = tmp_path_factory.mktemp("pictures")
    rows = []
    for n in range(40):
        name = f"p{n}.png" if n % 2 else f"p{n}.jpg"
        (folder / name).write_bytes(drawing(100 + n, name[-4:]))
        if n % 2 == 0:
            rows.append({"file": name, "tags": ["even", "赤い" if n % 4 == 0 else "blue"], "image_id": f"p{n}"})
        else:
            rows.append({"file": name, "tags": [], "image_id": f"p{n}"})
    (folder / "tags.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    said = service.cli("post", str(folder), "--tags-from", str(folder / "tags.jsonl"))
    assert said.startswith("posted 40 pictures, ")
    wait_for(lambda: all(service.has(f"p{n}") for n in range(40)), "forty pictures")
    wait_for(lambda: service.get("/v1/tags/even").json().get("count") == 20, "twenty tags")
    return folder


def test_search_by_picture_finds_itself_first(service, pictures):
    page = json.loads(service.cli("search", "--image", str(pictures / "p7.png"), "--json", "--limit", "5"))
    assert page["results"][0]["image_id"] == "p7"
    assert page["results"][0]["score"] > 0.99
    assert len(page["results"]) == 5


def test_search_by_id_leaves_the_image_out(service, pictures):
    page = json.loads(service.cli("search", "--id", "p7", "--json"))
    assert "p7" not in [r["image_id"] for r in page["results"]]
    assert len({r["image_id"] for r in page["results"]}) == len(page["results"])


def test_search_by_tag_ranks_tagged_pictures_high(service, pictures):
    page = json.loads(service.cli("search", "--tag", "赤い", "--json", "--limit", "10"))
    tagged = {f"p{n}" for n in range(0, 40, 4)}
    found = [r["image_id"] for r in page["results"] if r["image_id"].startswith("p")]
    assert len(set(found[:10]) & tagged) >= 7
    assert page["tagger_version"] > 0


def test_a_contact_sheet_shows_the_query_and_the_results(service, pictures, tmp_path):
    sheet, query = tmp_path / "sheet.png", ("--image", str(pictures / "p8.jpg"), "--crop", "0.1,0.1,0.8,0.8")
    page = json.loads(service.cli("search", *query, "--json"))
    assert "contact sheet" in service.cli("search", *query, "--sheet", str(sheet))
    drawn = cv2.imread(str(sheet))
    shown = [service.get(f"/v1/images/{result['image_id']}/bytes").content for result in page["results"]]
    assert all(is_in(drawn, content) for content in [(pictures / "p8.jpg").read_bytes(), *shown])
    assert not is_in(drawn, drawing(9_999))


def is_in(sheet, content):
    """Whether a contact sheet has this picture, 112 pixels large."""
    small = cv2.resize(
        cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), (112, 112), interpolation=cv2.INTER_AREA
    )
    return cv2.matchTemplate(sheet, small, cv2.TM_SQDIFF_NORMED).min() < 1e-3


def test_a_part_of_an_indexed_picture_is_another_query_than_the_whole(service, pictures):
    whole, part = (
        service.get("/v1/search/id/p8", limit=5, **crop).json()["results"] for crop in ({}, {"crop": "0.2,0.2,0.5,0.5"})
    )
    assert [result["score"] for result in part] != [result["score"] for result in whole]


def test_predict_knows_what_is_tagged(service, pictures):
    prediction = json.loads(service.cli("predict", str(pictures / "p8.jpg"), "--json"))
    assert "even" in [row["tag"] for row in prediction["tags"][:6]]
    assert all(0 <= row["probability"] <= 1 for row in prediction["tags"])


def test_exact_duplicates_collapse_and_near_ones_are_marked(service, pictures, tmp_path):
    twin = tmp_path / "twin.png"
    shutil.copy(pictures / "p9.png", twin)
    service.cli("post", str(twin), "--id", "twin-of-p9")
    small = cv2.resize(cv2.imread(str(pictures / "p9.png")), (180, 180), interpolation=cv2.INTER_AREA)
    near = tmp_path / "near.png"
    cv2.imwrite(str(near), small)
    service.cli("post", str(near), "--id", "near-p9")
    wait_for(lambda: service.has("twin-of-p9") and service.has("near-p9"), "the copies")
    content = twin.read_bytes()
    exact = service.post("/v1/search/image", content=content, limit=5).json()["results"]
    assert {exact[0]["image_id"], *exact[0]["duplicates"]} == {"p9", "twin-of-p9"}
    marked = next(r for r in exact if r["image_id"] == "near-p9")
    assert marked["near_duplicate_of"] in ("p9", "twin-of-p9")
    folded = service.post("/v1/search/image", content=content, limit=5, collapse="near").json()["results"]
    assert {folded[0]["image_id"], *folded[0]["duplicates"]} == {"p9", "twin-of-p9", "near-p9"}
    everything = service.post("/v1/search/image", content=content, limit=3, collapse="none").json()["results"]
    assert {r["image_id"] for r in everything} == {"p9", "twin-of-p9", "near-p9"}


def test_a_large_picture_goes_by_dataref(service, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 3), np.uint8)
    large = tmp_path / "large.png"
    cv2.imwrite(str(large), noise)
    assert large.stat().st_size > 1_000_000
    others = set((service.data_dir / "uploads").glob("*"))
    service.cli("post", str(large), "--id", "large")
    wait_for(lambda: service.has("large"), "the large picture")
    assert service.get("/v1/images/large/bytes").content == large.read_bytes()
    (upload,) = set((service.data_dir / "uploads").iterdir()) - others
    upload.write_bytes(b"no picture that was ever indexed")
    answer = service.get("/v1/images/large/bytes")
    assert answer.status_code == 404
    assert answer.json() == {"detail": "image 'large': its bytes are not there any more; post it again"}
    producer = KafkaProducer(bootstrap_servers=service.bootstrap)
    key, value, headers = encode(ImageDeleted(image_id="large"), source="test")
    producer.send("mekiki.images.v1", value, key=key, headers=headers).get(10)
    producer.close(timeout=5)
    wait_for(lambda: not service.has("large"), "the deletion")
    assert not upload.exists()


def test_tag_and_untag(service, pictures):
    service.cli("tag", "p11", "Fresh  Word", "ＷＩＤＥ")
    wait_for(lambda: service.tagged("p11", "fresh word") and service.tagged("p11", "wide"), "the tags")
    wait_for(lambda: service.get("/v1/search/tag", tag="fresh word").status_code == 200, "the new tag")
    row = json.loads(service.cli("tags", "show", "fresh word", "--json"))
    assert (row["name"], row["count"]) == ("fresh word", 1)
    service.cli("tag", "p11", "fresh word", "--remove")
    wait_for(lambda: not service.tagged("p11", "fresh word"), "the removal")
    listed = service.cli("tags", "list", "--json", "--prefix", "even")
    assert json.loads(listed)["tags"][0]["name"] == "even"


def test_clicks_order_by_taste(service, pictures):
    """A person who prefers even pictures over odd ones."""
    before = service.get("/v1/status").json()["pairs_seen"]
    for n in range(0, 24, 2):
        answer = service.post("/v1/pairs", json={"preferred": f"p{n}", "over": f"p{n + 1}"})
        assert answer.status_code == 202
    service.cli("click", "p24", "p25")
    wait_for(lambda: service.get("/v1/status").json()["pairs_seen"] >= before + 12, "the ranker")
    page = service.get("/v1/search/id/p39", rank="taste", limit=20).json()
    scores = [r["rank_score"] for r in page["results"]]
    assert page["ranker_version"] >= 1
    assert scores == sorted(scores, reverse=True)
    ranked = service.post("/v1/rank", json={"image_ids": [f"p{n}" for n in range(26)]}).json()["ranked"]
    even = [row["image_id"] for row in ranked[:13] if int(row["image_id"][1:]) % 2 == 0]
    assert len(even) >= 10


def test_what_is_clicked_on_results_pages_is_preferred_over_what_stood_above_it(service, pictures):
    before = service.get("/v1/status").json()["pairs_seen"]
    for n in range(8):
        page = service.get("/v1/search/id/p38", limit=5, session_id=f"s-{n}").json()
        shown = [result["image_id"] for result in page["results"]]
        click = {"impression_id": page["impression_id"], "session_id": f"s-{n}", "image_id": shown[4]}
        assert service.post("/v1/clicks", json=click).status_code == 202
    wait_for(lambda: service.get("/v1/status").json()["pairs_seen"] >= before + 28, "the clicks to be learned")
    ranked = service.post("/v1/rank", json={"image_ids": shown}).json()["ranked"]
    assert ranked[0]["image_id"] == shown[4]


def test_status_topics_and_doctor(service, pictures):
    wait_for(
        lambda: all(lag["records"] == 0 for lag in json.loads(service.cli("status", "--json"))["lag"].values()),
        "no lag",
    )
    said = json.loads(service.cli("status", "--json"))
    assert said["images"] >= 40
    assert "images" in service.cli("status")
    assert json.loads(service.cli("topics", "describe", "--json"))["examples"]["partitions"] == 1
    assert "already" in service.cli("topics", "create")
    report = json.loads(service.cli("doctor", "--json"))
    assert all(result.startswith("ok") for result in report["checks"].values())


def test_secrets_are_masked(service):
    said = service.cli("doctor", "--json", MEKIKI_QDRANT__API_KEY="s3cret", MEKIKI_KAFKA__SASL_PASSWORD="hush")
    assert "s3cret" not in said and "hush" not in said
    assert json.loads(said)["settings"]["MEKIKI_QDRANT__API_KEY"] == "********"


@pytest.mark.parametrize(("path", "status", "words"), [
    ("/v1/search/id/nobody", 404, "not in the index"),
    ("/v1/search/tag?tag=never-used", 404, "never-used"),
    ("/v1/search/id/p1?limit=100000", 422, "limit: Input should be less than or equal to 1000"),
    ("/v1/search/id/p1?limit=500", 400, "expected at most 200"),
    ("/v1/search/id/p1?crop=1,2", 400, "left,top,width,height"),
    ("/v1/images/nobody", 404, "post it first"),
    ("/v1/tags/never-used", 404, "never-used"),
])  # fmt: skip
def test_mistakes_get_a_sentence(service, pictures, path, status, words):
    answer = service.get(path)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_bad_bodies_get_a_sentence(service):
    assert service.post("/v1/search/image", content=b"").status_code == 400
    answer = service.post("/v1/predict", content=b"no picture at all")
    assert answer.status_code == 400
    assert "expected" in answer.json()["detail"]
    assert service.post("/v1/search/image", content=b"x" * 20_000_001).status_code == 413
    assert service.post("/v1/pairs", json={"preferred": "a"}).status_code == 422


@pytest.mark.parametrize(("path", "body"), [
    ("/v1/pairs", {"session_id": "s", "preferred": "a\nb", "over": "c"}),
    ("/v1/pairs", {"session_id": "s", "preferred": "tag-surgery", "over": "c"}),
    ("/v1/pairs", {"session_id": "s", "preferred": "x" * 300, "over": "c"}),
    ("/v1/clicks", {"impression_id": "p", "image_id": "a\u0007b"}),
    ("/v1/impressions", {"session_id": "s", "shown": ["a", "b"], "propensities": [1e-50, 1.0]}),
    ("/v1/impressions", {"session_id": "s", "shown": ["a", "b"], "propensities": [0.0, 1.0]}),
    ("/v1/impressions", {"session_id": "s", "shown": ["a", "b"], "propensities": [0.5]}),
    ("/v1/impressions", {"session_id": "s", "shown": ["a\u0000"]}),
    ("/v1/impressions", {"session_id": "s", "shown": ["x" * 300]}),
])  # fmt: skip
def test_what_the_log_would_not_take_the_api_refuses(service, path, body):
    answer = service.post(path, json=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


def test_health_metrics_and_openapi(service):
    def counted():
        """Requests so far: to /healthz, and to what is no route."""
        lines = service.get("/metrics").text.splitlines()
        figures = dict(line.rsplit(" ", 1) for line in lines if line.startswith("mekiki_request"))
        routes = ('{route="/healthz",status="200"}', '{route="unknown",status="404"}')
        timed = float(figures.get('mekiki_request_seconds_count{route="/healthz"}', 0))
        return [*(float(figures.get("mekiki_requests_total" + route, 0)) for route in routes), timed]

    before = counted()
    assert service.get("/healthz").status_code == 200
    assert service.get("/livez").json() == {"status": "ok"}
    assert service.get("/readyz").json() == {"status": "ready"}
    assert service.get("/nowhere").status_code == 404
    assert [after - was for after, was in zip(counted(), before, strict=True)] == [1, 1, 1]
    document = service.get("/openapi.json").json()
    assert "/v1/search/image" in document["paths"]
    assert document["components"]["schemas"]["Result"]["example"]["image_id"]
