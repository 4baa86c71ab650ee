"""`mekiki tag`, `mekiki click` and `mekiki images delete` say what came of it."""

import pytest
from kafka import KafkaProducer

from stream.events.codec import encode
from stream.events.schema import ImageDeleted
from tests.cluster import wait_for
from tests.e2e.conftest import drawing


@pytest.fixture(scope="module")
def pictures(service, tmp_path_factory):
    """Three pictures, one of which is deleted."""
    folder = tmp_path_factory.mktemp("say") / "said"
    folder.mkdir()
    for number, name in enumerate(("caf\u00e9.png", "dog.png", "gone.png")):
        (folder / name).write_bytes(drawing(8_000 + number))
    service.cli("post", str(folder), "--wait", "--tag", "said")
    producer = KafkaProducer(bootstrap_servers=service.bootstrap)
    key, value, headers = encode(ImageDeleted(image_id="said/gone.png"), source="test")
    producer.send("mekiki.images.v1", value, key=key, headers=headers).get(10)
    producer.close(timeout=5)
    wait_for(lambda: known(service, "said/gone.png")["state"] == "deleted", "the deletion")


def known(service, image_id):
    found = service.post("/v1/images/known", json={"image_ids": [image_id]}).json()["images"]
    return found[0] if found else None


def test_a_tag_is_learned_when_the_command_ends(service, pictures):
    said = service.cli("tag", "said/cafe\u0301.png", "Told  Once", "two, three", "--split-commas")
    assert said == "tagged said/caf\u00e9.png: Told  Once, two, three; learned\n"
    assert service.get("/v1/tags/told once").json()["count"] == 1
    assert service.get("/v1/tags/three").status_code == 200
    assert service.cli("tag", "said/café.png", "told once", "--remove").endswith("; learned\n")
    assert service.get("/v1/tags/told once").json()["count"] == 0
    assert known(service, "said/café.png")["tags"] == ["said", "two", "three"]


@pytest.mark.parametrize(("arguments", "words"), [
    (("said/gone.png", "cat"), "image 'said/gone.png': deleted, nothing was said of it; post it again first"),
    (("said/dog.png", "x" * 163), "of 163 characters"),
    (("said/dog.png", "cat, dog"), "--split-commas"),
    (("x" * 300, "cat"), "at most 256 characters"),
    (("a\nb", "cat"), "image_id"),
])  # fmt: skip
def test_what_cannot_be_said_is_refused_with_a_sentence(service, pictures, arguments, words):
    said = service.cli("tag", *arguments, code=2)
    assert words in said and "Traceback" not in said
    assert known(service, "said/dog.png")["tags"] == ["said"]


def test_a_tag_for_a_picture_that_nobody_posted_waits_and_says_so(service, pictures):
    said = service.cli("tag", "said/nobody.png", "cat", code=2)
    assert "nobody posted it, the tags wait for it" in said
    assert known(service, "said/nobody.png")["state"] == "waiting"
    service.cli("dlq", "give-up", "said/nobody.png")


def test_scripts_need_not_wait(service, pictures):
    assert service.cli("tag", "said/dog.png", "quick", "--no-wait") == "tagged said/dog.png: quick\n"
    wait_for(lambda: "quick" in known(service, "said/dog.png")["tags"], "the tag")
    service.cli("tag", "said/dog.png", "quick", "--remove")
    assert service.cli("click", "said/dog.png", "nobody", "--no-wait") == "preferred said/dog.png over nobody\n"


def test_a_click_is_learned_when_the_command_ends_or_later(service, pictures):
    before = service.get("/v1/status").json()["pairs_seen"]
    said = service.cli("click", "said/dog.png", "said/cafe\u0301.png", "--timeout", "20")
    begin = "preferred said/dog.png over said/caf\u00e9.png; "
    if before < 8:  # then each click is a block of its own
        assert said == f"{begin}learned\n"
        assert service.get("/v1/status").json()["pairs_seen"] == before + 1
    else:
        assert said in (f"{begin}learned\n", f"{begin}in the log, learned together with the next clicks\n")


@pytest.mark.parametrize(("other", "words"), [("said/nobody.png", "nobody posted it"), ("said/gone.png", "deleted")])
def test_a_click_on_what_is_not_there_is_refused(service, pictures, other, words):
    before = len(service.letters())
    assert f"image '{other}': {words}" in service.cli("click", "said/dog.png", other, code=2)
    assert len(service.letters()) == before


def test_deleted_pictures_are_gone_when_the_command_ends(service, pictures, tmp_path):
    names = ["u\u0308ber.png", "under.png"]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(drawing(8_100 + number))
    service.cli("post", str(tmp_path), "--root", str(tmp_path), "--wait")
    assert "--yes gives it" in service.cli("images", "delete", *names, code=2)
    assert "not in the index" in service.cli("images", "delete", "under.png", "nobody", "--yes", code=2)
    assert known(service, "under.png")["state"] == "there"
    said = service.cli("images", "delete", *names, "under.png", "--yes")
    assert said == "deleted \u00fcber.png, under.png; no search finds them\n"
    assert {known(service, name)["state"] for name in ("\u00fcber.png", "under.png")} == {"deleted"}


def test_scripts_need_not_wait_for_a_deletion(service, pictures, tmp_path):
    (tmp_path / "late.png").write_bytes(drawing(8_103))
    service.cli("post", str(tmp_path), "--root", str(tmp_path), "--wait")
    assert service.cli("images", "delete", "late.png", "--yes", "--no-wait") == "deleting late.png\n"
    wait_for(lambda: known(service, "late.png")["state"] == "deleted", "the deletion")
