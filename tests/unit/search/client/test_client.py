"""The typed client against the API over HTTP."""

import pytest

from models.errors import IndexUnavailableError, NotFoundError, UsageError
from search.client import Client
from stream.events.codec import decode
from tests.unit.search.api import client_of, make_service, put

KEY = "k" * 20
IDS = ("cats/1.jpg", "..", "50%/bytes", "猫?")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = make_service(tmp_path_factory.mktemp("api"), api_key=KEY)
    for number, image_id in enumerate(IDS):
        put(service, image_id, b"pic" + bytes([number]), tags=("cat",) * (number % 2))
    return service


@pytest.fixture(scope="module")
def url(service):
    with client_of(service) as http:
        yield str(http.base_url)


@pytest.fixture
def client(url):
    with Client(url, KEY) as client:
        yield client


@pytest.mark.parametrize("number", range(len(IDS)))
def test_images_are_reached_under_any_id(client, number):
    image_id = IDS[number]
    assert client.image(image_id).image_id == image_id
    assert client.picture(image_id) == b"pic" + bytes([number])
    assert client.picture(image_id, size=64).startswith(b"RIFF")
    assert image_id not in [row.image_id for row in client.search_id(image_id, limit=10).results]
    assert client.predict_id(image_id, limit=1).tags[0].tag in ("cat", "dog")


def test_every_search_takes_what_all_take(client):
    for page in (
        client.search(like=[IDS[0]], unlike=[IDS[2]], with_tags=["cat"]), client.search_tag("cat", with_tags=["cat"]),
        client.search_image(b"pic\0", with_tags=["cat"], min_width=1, diverse=0.1),
        client.search_words("cat", with_tags=["cat"]),
    ):  # fmt: skip
        assert {row.image_id for row in page.results} == {IDS[1], IDS[3]}
    first = client.search_tag("cat", limit=3)
    assert len(client.search_tag("cat", limit=3, cursor=first.cursor).results) == 1


def test_words_are_searched_and_completed(client):
    page = client.search_words("cat -dog", like=[IDS[0]], order="probability")
    assert [(word.tag, word.without) for word in page.words] == [("cat", False), ("dog", True)]
    assert {row.image_id for row in page.results} == set(IDS) - {IDS[0]}
    assert [one.q for one in client.suggest("dog ca", limit=1).suggestions] == ["dog cat"]


def test_the_rest_is_typed_too(client):
    assert sorted(image.image_id for image in client.images()) == sorted(IDS)
    assert client.predict(b"pic1", limit=1).tagger_version == client.tags().tagger_version
    assert client.tag("cat").count == 2
    assert {row.image_id for row in client.rank(IDS).ranked} == set(IDS)
    assert client.status().tags == 2


def test_what_is_posted_is_in_the_log(client, service):
    service.writer.acknowledged.clear()
    client.post_image(b"pic9", "new/1", tags=["cat"], title="A cat")
    client.post_dataref("new/2", "https://pictures.example/2.jpg", tags=["dog"], sha256="ab" * 32)
    client.put_tags("new/1", ["x"], by="me")
    client.delete_tags("new/1", ["x", "y"])
    client.delete_image("new/2")
    client.prefer("new/1", "new/2")
    client.click("page", "new/1", session_id="s")
    events = [decode(sent.key, sent.value, sent.headers).event for sent in service.writer.acknowledged]
    assert [(event.type.split(".", 1)[1], getattr(event, "image_id", "")) for event in events] == [
        ("image.posted.v1", "new/1"), ("image.posted.v1", "new/2"), ("tags.applied.v1", "new/1"),
        ("tags.removed.v1", "new/1"), ("image.deleted.v1", "new/2"), ("pair.clicked.v1", ""), ("clicked.v1", "new/1"),
    ]  # fmt: skip
    assert (events[0].title, events[1].dataref) == ("A cat", "https://pictures.example/2.jpg")


def test_refusals_are_our_errors(client, url):
    with pytest.raises(NotFoundError, match="image 'nobody': not in the index"):
        client.image("nobody")
    with pytest.raises(UsageError, match="did you mean limit"):
        client.get("/v1/tags", limt=3)
    with pytest.raises(UsageError, match="key: none that is valid"), Client(url) as stranger:
        stranger.status()
    with pytest.raises(IndexUnavailableError, match="does not answer"), Client("http://127.0.0.1:9") as nowhere:
        nowhere.status()
