"""Every VectorIndex there is, open and empty."""

import os
import socket
import threading
import uuid
from urllib.parse import urlsplit

import pytest

from stream.index.contract import VectorIndex
from stream.index.edge import EdgeIndex
from stream.index.process.remote import RemoteIndex
from stream.index.process.server import IndexServer
from stream.index.qdrant import QdrantIndex
from stream.log.embedded_broker import free_port
from stream.settings import QdrantSettings
from tests.contract.dict_index import DictIndex

D = 16
QDRANT_URL = os.environ.get("MEKIKI_TEST_QDRANT_URL")


def edge(tmp_path):
    index = EdgeIndex(tmp_path / "index")
    index.open("enc-1", D)
    yield index
    index.close()


def remote(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    server = IndexServer(EdgeIndex(tmp_path / "index"), address)
    thread = threading.Thread(target=server.serve)
    thread.start()
    index = RemoteIndex(address)
    index.open("enc-1", D)
    yield index
    index.close()
    server.stop()
    thread.join()


def local(tmp_path):
    index = QdrantIndex(QdrantSettings(url=":memory:", collection="test"))
    index.open("enc-1", D)
    yield index
    index.close()


def in_a_dict(tmp_path):
    """What the simulation runs on."""
    index = DictIndex()
    index.open("enc-1", D)
    yield index


def listens(host, port):
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def _server(prefer_grpc):
    if QDRANT_URL is None:
        pytest.skip("MEKIKI_TEST_QDRANT_URL names no Qdrant server")
    collection = f"mekiki_test_{uuid.uuid4().hex}"
    url = urlsplit(QDRANT_URL)
    grpc_port = int(os.environ.get("MEKIKI_TEST_QDRANT_GRPC_PORT") or (url.port or 6333) + 1)
    if prefer_grpc and not listens(url.hostname, grpc_port):
        pytest.skip(
            f"the Qdrant server answers no gRPC on port {grpc_port}; MEKIKI_TEST_QDRANT_GRPC_PORT names another"
        )
    index = QdrantIndex(
        QdrantSettings(url=QDRANT_URL, collection=collection, prefer_grpc=prefer_grpc, grpc_port=grpc_port)
    )
    try:
        index.open("enc-1", D)
        yield index
        index.drop()
    finally:
        index.close()


def server_grpc(tmp_path):
    yield from _server(True)


def server_rest(tmp_path):
    yield from _server(False)


@pytest.fixture(params=[edge, remote, local, in_a_dict, server_grpc, server_rest], ids=lambda make: make.__name__)
def index(request, tmp_path) -> VectorIndex:
    yield from request.param(tmp_path)
