"""What a search goes through first: what Edge really does, and what a server is told, word for word."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from models.errors import ConfigurationError
from models.quantise import dequantise, quantise
from stream.index.edge import EdgeIndex
from stream.index.payload import IndexRecord
from stream.index.point_index import IMAGES
from stream.index.qdrant import QdrantIndex
from stream.index.quantization import LEAST_CANDIDATES, of_edge, of_server
from stream.settings import QdrantSettings
from tests.fakes import payload

D, COUNT = 64, LEAST_CANDIDATES + 1_000
VECTORS = np.random.default_rng(8).standard_normal((COUNT + 1, D)).astype(np.float32)
VECTORS = dequantise(quantise(VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)))
QUERY = VECTORS[COUNT]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An index of more points than a search compares by floats."""
    folder = tmp_path_factory.mktemp("quantised") / "index"
    index = EdgeIndex(folder)
    index.open("enc-1", D)
    index.write([IndexRecord(f"i{n:05}", 1, payload(), VECTORS[n]) for n in range(COUNT)], [])
    index.close()
    return folder


def found(folder, limit, **settings):
    index = EdgeIndex(folder, QdrantSettings(**settings))
    index.open("enc-1", D)
    hits = index.search(QUERY, limit)
    index.close()
    return [hit.image_id for hit in hits], np.array([hit.score for hit in hits])


def best(limit):
    return [f"i{n:05}" for n in np.argsort(-(VECTORS[:COUNT] @ QUERY))[:limit]]


def exact(names):
    return np.array([VECTORS[int(name[1:])] @ QUERY for name in names])


@pytest.mark.parametrize("limit", [1, 20, 200])
def test_bits_lose_nothing_and_scores_are_those_of_floats(folder, limit):
    names, scores = found(folder, limit)
    assert len(set(names) & set(best(limit))) >= 0.99 * limit
    np.testing.assert_allclose(scores, exact(names), atol=1e-6)
    assert names == sorted(names, key=lambda name: -(VECTORS[int(name[1:])] @ QUERY))


def test_the_bits_are_there_from_the_first_point_on(folder):
    """Without rescoring, scores are those of bits, and without oversampling they miss some."""
    names, scores = found(folder, 50, rescore=False, oversampling=1)
    assert np.abs(scores - exact(names)).max() > 0.01
    names, _ = found(folder, 50, oversampling=1)
    assert 0.3 < len(set(names) & set(best(50))) / 50 < 1


def test_floats_alone_are_searched_where_the_settings_say_so(folder):
    assert found(folder, 50, quantization="none")[0] == best(50)


def test_candidates_follow_the_limit_and_are_never_few():
    usual = of_edge(QdrantSettings(), IMAGES)
    assert [usual.oversampling_for(limit) * limit for limit in (1, 10, 250, 2_000)] == [4_000, 4_000, 4_000, 32_000]
    assert of_edge(QdrantSettings(oversampling=3), IMAGES).oversampling_for(10) == 3
    assert of_server(QdrantSettings(), "scalar").oversampling_for(10) == 1


class Server(ThreadingHTTPServer):
    """Says what a Qdrant server says of one collection, and keeps what it is told about it."""

    def __init__(self, config):
        super().__init__(("127.0.0.1", 0), Answers)
        self.config, self.told = config, []


class Answers(BaseHTTPRequestHandler):
    """Collections, their indexes, and points: of these there are none."""

    def do_GET(self):
        exists = {"exists": self.server.config is not None}
        self.answer(exists if self.path.endswith("/exists") else info(self.server.config))

    def do_PUT(self):
        body, of_the_collection = self.told(), self.path.partition("?")[0] == "/collections/mekiki_images"
        if of_the_collection:
            self.server.config = body
        self.answer(True if of_the_collection else {"operation_id": 1, "status": "completed"})

    def do_PATCH(self):
        self.server.config = self.server.config | {
            name: diff if diff != "Disabled" else None for name, diff in self.told().items()
        }
        self.answer(True)

    def do_POST(self):
        self.told()
        self.answer({"points": []} if "query" in self.path else [])

    def told(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.append((self.command, self.path.partition("?")[0], body))
        return body

    def answer(self, result):
        body = json.dumps({"time": 0.0, "status": "ok", "result": result}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


def info(config):
    params = {name: config[name] for name in ("vectors", "shard_number", "replication_factor") if name in config}
    params["write_consistency_factor"] = config.get("write_consistency_factor")
    return {
        "status": "green", "optimizer_status": "ok", "segments_count": 2, "points_count": 7, "payload_schema": {},
        "indexed_vectors_count": 5,
        "config": {
            "params": params, "quantization_config": config.get("quantization_config"),
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000},
            "optimizer_config": {
                "deleted_threshold": 0.2, "vacuum_min_vector_number": 1_000, "default_segment_number": 0,
                "flush_interval_sec": 5,
            },
        },
    }  # fmt: skip


@pytest.fixture
def qdrant():
    """Opens an index on a server that has such a collection, or none."""
    opened = []

    def start(config, **settings):
        server = Server(config)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        index = QdrantIndex(QdrantSettings(url=url, prefer_grpc=False, **settings))
        opened.append((server, thread, index))
        return server, index

    yield start
    for server, thread, index in opened:
        index.close()
        server.shutdown()
        server.server_close()
        thread.join()


INT8 = {"scalar": {"type": "int8", "always_ram": True}}


def test_a_new_collection_has_int8_in_memory_and_floats_on_disk(qdrant):
    server, index = qdrant(None)
    index.open("enc-1", D)
    assert server.told[0] == ("PUT", "/collections/mekiki_images", {
        "vectors": {"image": {"size": D, "distance": "Dot", "on_disk": True}}, "quantization_config": INT8,
        "replication_factor": 1, "write_consistency_factor": 1,
    })  # fmt: skip
    index.search(np.ones(D, np.float32), 5)
    assert server.told[-1][2]["params"] == {"quantization": {"rescore": True, "oversampling": 1.0}}


def test_a_new_collection_is_as_the_settings_have_it_and_says_so(qdrant):
    server, index = qdrant(
        None, quantization="turbo", shards=6, replicas=3, write_consistency=2, vectors_on_disk=False, oversampling=8
    )
    index.open("enc-1", D)
    made = server.told[0][2]
    assert made["quantization_config"] == {"turbo": {"bits": "bits1", "always_ram": True}}
    assert (made["shard_number"], made["replication_factor"], made["write_consistency_factor"]) == (6, 3, 2)
    told = index.describe()
    assert (told.kept_by, told.points, told.indexed, told.status) == ("Qdrant server", 7, 5, "green")
    assert (told.quantization, told.oversampling, told.vectors_on_disk) == ("turbo", 8, False)
    assert (told.shards, told.replicas, told.write_consistency) == (6, 3, 2)


BEFORE = {"vectors": {"image": {"size": D, "distance": "Dot"}}, "shard_number": 1, "replication_factor": 1}


@pytest.mark.parametrize(
    ("asked", "stored", "patched"),
    [("auto", None, None), ("scalar", INT8, None), ("scalar", None, INT8), ("none", INT8, "Disabled")],
)
def test_a_collection_of_before_stays_unless_the_settings_name_something_else(qdrant, asked, stored, patched):
    server, index = qdrant(BEFORE | {"quantization_config": stored}, quantization=asked)
    index.open("enc-1", D)
    changes = [body for method, _, body in server.told if method == "PATCH"]
    assert changes == ([] if patched is None else [{"quantization_config": patched}])
    expected = asked if asked != "auto" else "none"
    assert index.describe().quantization == expected
    index.search(np.ones(D, np.float32), 5)
    assert ("params" in server.told[-1][2]) == (expected != "none")


def test_a_kind_that_we_do_not_know_is_refused_with_the_remedy(qdrant):
    stored = {"product": {"compression": "x16"}}
    _, index = qdrant(BEFORE | {"quantization_config": stored})
    with pytest.raises(ConfigurationError, match="quantised as product, expected scalar"):
        index.open("enc-1", D)
