"""Pictures taken down or posted again: whose bytes stay, whose go, and what the learner hears."""

import hashlib

import pytest

from stream.events.schema import ImagePosted
from tests.unit.stream.ingest.rig import Rig, delete, post, tag

BATCHES = pytest.mark.parametrize("images", [1, 32], ids=["a batch each", "one batch"])


def after(tmp_path, images, *events):
    rig = Rig(tmp_path, encoder={"batch_size": images})
    rig.log.post(*events)
    rig.run()
    assert rig.dead() == []
    return rig


def kept(rig):
    return sorted(rig.pictures.kept.values())


@BATCHES
def test_a_deleted_picture_is_gone_and_the_learner_hears_of_it(tmp_path, images):
    rig = after(tmp_path, images, post("a", tags=("cat",)), delete("a"))
    assert kept(rig) == []
    assert rig.index.real.fetch(["a"])["a"].deleted
    assert [(one.image_id, one.deleted) for _, one in rig.examples()] == [("a", False), ("a", True)]


@BATCHES
def test_deleting_one_of_two_with_the_same_bytes_leaves_them(tmp_path, images):
    rig = after(tmp_path, images, post("a"), post("b"), delete("a"))
    assert kept(rig) == [b"pic1"]


@BATCHES
def test_deleting_both_of_two_with_the_same_bytes_takes_them(tmp_path, images):
    rig = after(tmp_path, images, post("a"), post("b"), delete("a"), delete("b"))
    assert kept(rig) == []


def test_deleting_both_of_two_with_the_same_bytes_in_one_batch_takes_them(rig):
    rig.log.post(post("a"), post("b"))
    rig.run()
    rig.log.post(delete("a"), delete("b"))
    rig.run()
    assert kept(rig) == []


@BATCHES
def test_a_deletion_does_not_take_along_what_was_posted_after_it(tmp_path, images):
    rig = after(tmp_path, images, post("a"), delete("a"), post("b"))
    assert kept(rig) == [b"pic1"]
    assert rig.index.real.count() == 1


@BATCHES
def test_posted_again_with_other_bytes_the_earlier_ones_are_gone(tmp_path, images):
    rig = after(tmp_path, images, post("a", b"pic1", tags=("cat",)), post("a", b"pic2"), post("a", b"pic3"))
    stored = rig.index.real.fetch(["a"])["a"]
    assert rig.pictures.kept == {stored.payload.stored: b"pic3"}
    assert (stored.payload.sha256, stored.payload.tags) == (hashlib.sha256(b"pic3").hexdigest(), ("cat",))
    assert [one.image_id for _, one in rig.examples()] == ["a"] * 3  # its vector in the sums changes each time


@BATCHES
def test_posted_again_with_bytes_that_another_shares_they_stay(tmp_path, images):
    rig = after(tmp_path, images, post("a", b"pic1"), post("b", b"pic1"), post("a", b"pic2"))
    assert kept(rig) == [b"pic1", b"pic2"]


@BATCHES
def test_posted_again_with_the_same_bytes_they_stay(tmp_path, images):
    rig = after(tmp_path, images, post("a", b"pic1"), post("a", b"pic2"), post("a", b"pic1"))
    assert kept(rig) == [b"pic1"]


@BATCHES
def test_posted_again_then_deleted_nothing_is_left(tmp_path, images):
    events = (post("a", b"pic1", tags=("cat",)), post("a", b"pic2"), tag("a", "dog"), delete("a"))
    rig = after(tmp_path, images, *events)
    assert kept(rig) == []
    assert rig.index.real.fetch(["a"])["a"].deleted
    assert rig.index.real.count() == 0
    learned = [one for _, one in rig.examples()]
    assert [(one.added, one.deleted) for one in learned] == [
        (("cat",), False),
        ((), False),
        (("dog",), False),
        ((), True),
    ]


@BATCHES
def test_deleted_then_posted_again_it_begins_without_its_tags(tmp_path, images):
    rig = after(tmp_path, images, post("a", b"pic1", tags=("cat",)), delete("a"), post("a", b"pic2"))
    assert kept(rig) == [b"pic2"]
    assert rig.index.real.fetch(["a"])["a"].payload.tags == ()


@BATCHES
def test_a_retry_of_the_post_does_not_bring_a_deleted_picture_back(tmp_path, images):
    rig = Rig(tmp_path, encoder={"batch_size": images})
    rig.log.post(post("a"), event_id="p")
    rig.log.post(delete("a"))
    rig.log.post(post("a"), event_id="p")
    rig.run()
    assert kept(rig) == []
    assert rig.index.real.fetch(["a"])["a"].deleted


@BATCHES
def test_uploads_go_with_their_pictures_and_the_files_of_others_stay(tmp_path, images):
    rig = Rig(tmp_path, encoder={"batch_size": images}, ingest={"dataref_roots": [tmp_path / "theirs"]})
    files = [tmp_path / folder / name for folder in ("uploads", "theirs") for name in ("1", "2")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"pic" + str(file.relative_to(tmp_path)).encode())
        rig.log.post(ImagePosted(image_id=file.as_uri(), dataref=file.as_uri()))
    rig.run()
    assert rig.index.real.count() == 4
    rig.log.post(delete(files[0].as_uri()), delete(files[2].as_uri()))
    rig.run()
    assert [file.exists() for file in files] == [False, True, True, True]


@BATCHES
def test_the_upload_of_a_retry_that_is_known_already_goes(tmp_path, images):
    rig = Rig(tmp_path, encoder={"batch_size": images})
    files = [tmp_path / "uploads" / name for name in ("first", "again")]
    files[0].parent.mkdir()
    for file in files:
        file.write_bytes(b"pic1")
        rig.log.post(ImagePosted(image_id="a", dataref=file.as_uri()), event_id="p")
    rig.run()
    assert [file.exists() for file in files] == [True, False]
    assert rig.index.real.fetch(["a"])["a"].payload.uri == files[0].as_uri()


def test_a_worker_that_was_fenced_off_takes_and_brings_nothing(tmp_path):
    """It ends a batch of before, when the next owner has deleted the picture and somebody posted it again."""
    rig = Rig(tmp_path, encoder={"batch_size": 1})
    rig.log.post(post("a", b"pic1"), event_id="p")
    rig.run()
    names = [dict(rig.pictures.kept)]
    rig.log.post(delete("a"), post("a", b"pic1"))
    rig.run()
    (kept_now,) = rig.pictures.kept.items()
    for late in (rig.pictures.put, lambda _, name: rig.pictures.remove(name)):
        for name, content in names[0].items():
            late(content, name)
        rig.pictures.flush()
        assert list(rig.pictures.kept.items()) == [kept_now]
