"""What the running service says of itself."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.errors import BrokerUnavailableError, InfrastructureError
from search.served import ServedModels
from search.service import Service
from search.stalled import Stall, StallWatch
from stream.environment import load_settings
from stream.index.payload import IndexRecord
from tests.cluster import wait_for
from tests.fakes import FakeDecoder, FakeWriter, local_index, payload, unit
from tests.unit.search.api import client_of, make_service, put

THREADS = 40  # that the framework has for requests
STALL = Stall("images", 2, 17, 40, 75.0, False)


class Follower:
    """Follows, and is up to date."""

    failing = None

    def __init__(self):
        self.caught_up = threading.Event()
        self.caught_up.set()

    def is_alive(self):
        return True


class OnlyEstimates:
    """An index that is never asked to count one point after another."""

    def __init__(self):
        self._real = local_index()

    def count(self, kind="image", *, exact=True):
        assert not exact, "an exact count"
        return self._real.count(kind, exact=exact)

    def __getattr__(self, name):
        return getattr(self._real, name)


class NoObjects:
    """An object index in which nothing is."""

    def count(self):
        return 0


@pytest.fixture
def service(tmp_path):
    def asked(*_):
        raise AssertionError("the broker was asked")

    return Service(
        settings=load_settings({}, data_dir=tmp_path), index=OnlyEstimates(), objects=NoObjects(), searcher=None,
        served=ServedModels(), follower=Follower(), watch=StallWatch(asked, asked), writer=None, pictures=None,
        datarefs=None,
        encoder_version="fake-1", keys=None, outcomes=None, thumbnails=None,
    )  # fmt: skip


def test_what_is_shown_of_numbers_is_not_counted_one_by_one(service):
    service.index.write([IndexRecord("there", 1, payload(), unit(1)), IndexRecord("not", 1, waiting=("one",))], [])
    status = service.status()
    assert (status.images, status.images_waited_for, status.estimated) == (1, 1, False)
    service.check_ready()


def test_a_stalled_partition_is_said_without_asking_the_broker(service):
    service.check_ready()
    assert service.status().stalled == []
    service.watch.stalls = (STALL, Stall("clicks", 0, 3, 1, 60.0, True))
    with pytest.raises(
        InfrastructureError, match=r"images 2: nothing read for 75 s.*dlq skip images 2 17.*; clicks 0:"
    ):
        service.check_ready()
    assert [(one.topic, one.partition, one.seconds, one.readable) for one in service.status().stalled] == [
        ("images", 2, 75.0, False), ("clicks", 0, 60.0, True),
    ]  # fmt: skip
    assert service.status().stalled[0].said == str(STALL)
    service.watch.stalls = ()
    service.check_ready()


def test_the_index_says_how_it_is_kept(tmp_path):
    with client_of(make_service(tmp_path)) as client:
        said = client.get("/v1/index").json()
    assert (said["kept_by"], said["quantization"], said["replicas"]) == ("a dict", "none", None)


def test_it_says_that_it_lives_while_searches_hold_every_thread(tmp_path):
    slow = FakeDecoder()
    slow.gate.clear()
    with (
        client_of(make_service(tmp_path, decoder=slow)) as client,
        ThreadPoolExecutor(THREADS) as people,
    ):
        asked = [people.submit(client.post, "/v1/search/image", content=b"pic1") for _ in range(THREADS)]
        try:
            wait_for(lambda: slow.calls == THREADS, "searches to hold every thread")
            assert client.get("/healthz", timeout=10).json() == {"status": "ok"}
        finally:
            slow.gate.set()
        assert {one.result().status_code for one in asked} == {200}


def test_what_was_found_is_given_while_the_log_takes_no_impression(tmp_path):
    class Away(FakeWriter):
        def send_now(self, event, **how):
            raise BrokerUnavailableError("Kafka: takes nothing")

    service = make_service(tmp_path)
    put(service, "a")
    with client_of(service) as client:
        assert client.get("/v1/search/tag", params={"tag": "cat", "session_id": "s"}).json()["impression_id"]
        service.writer = Away()
        answer = client.get("/v1/search/tag", params={"tag": "cat", "session_id": "s"})
    assert answer.status_code == 200
    assert ([row["image_id"] for row in answer.json()["results"]], answer.json()["impression_id"]) == (["a"], None)
