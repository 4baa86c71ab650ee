"""The API over real parts where they are quick, and stand-ins where they are not: index in a dict, fake encoder."""

import threading
from contextlib import contextmanager

import httpx
import numpy as np
import uvicorn

from admin.operators.serve import listen
from models.quantise import quantise
from models.tagging.examples import Example
from models.tagging.tagger import Tagger
from search.access.keys import Keys
from search.app import create_app
from search.pictures.outcomes import DONE
from search.pictures.thumbnails import Thumbnails
from search.query import Searcher
from search.served import ServedModels, ServedRanker, ServedTagger
from search.service import Service
from stream.environment import load_settings
from stream.index.objects import OBJECTS, ObjectPoints
from stream.index.parts import PartSearch
from stream.index.payload import IndexRecord
from stream.pictures.dataref import DatarefReader
from stream.pictures.store import picture_name
from tests.contract.dict_index import DictIndex
from tests.fake_stores import FakePictures
from tests.fakes import D, FakeDecoder, FakeEncoder, FakeWriter, payload, unit


class Quiet:
    """A thread that follows, or watches, and has nothing bad to tell."""

    failing = None
    stalls = ()

    def __init__(self):
        self.caught_up = threading.Event()
        self.caught_up.set()

    def is_alive(self):
        return True

    def stop(self):
        pass

    def join(self, timeout=None):
        pass

    def prepare(self):
        pass

    def of(self, event, event_id, source):
        return DONE


class Taste:
    """Prefers vectors whose first number is large."""

    version, pairs_seen = 7, 100

    def score(self, vectors):
        return vectors[:, 0]


def make_service(folder, ingest=None, decoder=None, **serve):
    """A service of its own; what is posted is in `service.writer`."""
    settings = load_settings({}, data_dir=folder, serve=serve, ingest=ingest or {})
    decoder = decoder or FakeDecoder()
    index = DictIndex()
    index.open(FakeEncoder.version, D)
    objects = ObjectPoints(DictIndex(layout=OBJECTS))
    objects.open(FakeEncoder.version, D)
    tagger = Tagger(dimension=D)
    vectors = quantise(np.stack([unit(n) for n in range(4)]))
    tagger.learn_many([Example(f"i{n}", vectors[n], ("cat",) if n % 2 else ("dog",)) for n in range(4)], 0)
    served = ServedModels(tagger=ServedTagger(tagger.predictor()), ranker=ServedRanker(Taste()))
    pictures = FakePictures()
    return Service(
        settings=settings, index=index, objects=objects, served=served,
        searcher=Searcher(index, FakeEncoder(), decoder, served, PartSearch(index, objects)),
        follower=Quiet(), watch=Quiet(), writer=FakeWriter(), pictures=pictures,
        datarefs=DatarefReader(
            settings.ingest.dataref_roots, [], settings.ingest.max_image_bytes, uploads=settings.data_path / "uploads"
        ),
        encoder_version=FakeEncoder.version, keys=Keys(settings.serve), outcomes=Quiet(),
        thumbnails=Thumbnails(decoder),
    )  # fmt: skip


def put(service, image_id, content=b"pic1", **known):
    """An image in the index, its bytes in the store."""
    (decoded,) = FakeDecoder().decode_many([content])
    vector = service.searcher.embedder.embed(content)
    stored = picture_name(image_id, 1)
    service.pictures.names[stored] = content
    fields = {"sha256": decoded.sha256, "uri": service.pictures.uri(stored), "stored": stored}
    service.index.write([IndexRecord(image_id, 1, payload(**(fields | known)), vector)], [])


@contextmanager
def client_of(service, **options):
    """Asks the API over HTTP, from a server of its own in this process."""
    listening = listen("127.0.0.1", 0)
    trusted = service.settings.serve.trusted_proxies
    app = create_app(service)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, forwarded_allow_ips=trusted))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=30, **options) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
