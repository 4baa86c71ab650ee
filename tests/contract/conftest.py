"""Every VectorIndex and every ObjectIndex there is, open and empty."""

import os
import socket
import threading
import uuid
from urllib.parse import urlsplit

import pytest

from stream.index.contract import VectorIndex
from stream.index.edge import EdgeIndex
from stream.index.objects import OBJECTS, ObjectIndex, ObjectPoints
from stream.index.point_index import IMAGES
from stream.index.process.remote import RemoteIndex, RemoteObjects
from stream.index.process.server import IndexServer
from stream.index.qdrant import QdrantIndex
from stream.log.embedded_broker import free_port
from stream.settings import QdrantSettings
from tests.contract.dict_index import DictIndex

D = 16
QDRANT_URL = os.environ.get("MEKIKI_TEST_QDRANT_URL")


def edge(tmp_path, layout):
    index = EdgeIndex(tmp_path / "index", layout=layout)
    yield as_asked(index)
    index.close()


def remote(tmp_path, layout):
    address = f"127.0.0.1:{free_port()}"
    objects = ObjectPoints(EdgeIndex(tmp_path / "objects", layout=OBJECTS))
    server = IndexServer(EdgeIndex(tmp_path / "index"), address, objects)
    thread = threading.Thread(target=server.serve)
    thread.start()
    index = (RemoteObjects if layout is OBJECTS else RemoteIndex)(address)
    yield index
    index.close()
    server.stop()
    thread.join()


def local(tmp_path, layout):
    index = QdrantIndex(QdrantSettings(url=":memory:", collection="test"), layout)
    yield as_asked(index)
    index.close()


def in_a_dict(tmp_path, layout):
    """What the simulation runs on."""
    yield as_asked(DictIndex(layout=layout))


def as_asked(points):
    return ObjectPoints(points) if points.layout is OBJECTS else points


def listens(host, port):
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def _server(prefer_grpc, layout):
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
        QdrantSettings(url=QDRANT_URL, collection=collection, prefer_grpc=prefer_grpc, grpc_port=grpc_port), layout
    )
    try:
        yield as_asked(index)
        index.drop()
    finally:
        index.close()


def server_grpc(tmp_path, layout):
    yield from _server(True, layout)


def server_rest(tmp_path, layout):
    yield from _server(False, layout)


EVERY = {"params": [edge, remote, local, in_a_dict, server_grpc, server_rest], "ids": lambda make: make.__name__}


@pytest.fixture(**EVERY)
def index(request, tmp_path) -> VectorIndex:
    for made in request.param(tmp_path, IMAGES):
        made.open("enc-1", D)
        yield made


@pytest.fixture(**EVERY)
def objects(request, tmp_path) -> ObjectIndex:
    for made in request.param(tmp_path, OBJECTS):
        made.open("enc-1", D)
        yield made
