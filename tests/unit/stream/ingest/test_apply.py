"""One event onto the state of one image: the cases that have names."""

import numpy as np
import pytest

from models.errors import PolicyError, UnknownImageError
from stream.events.codec import Envelope, decode
from stream.events.schema import ImageDeleted, ImagePosted, TagsApplied
from stream.ingest.apply import SEEN_EVENTS, apply_event
from tests.fakes import make_record, unit
from tests.unit.stream.ingest.play import embedded, play


def post(offset=0, content=b"pic1", image_id="a", **changes):
    fields = {"event_id": changes.pop("event_id", ""), "epoch": changes.pop("epoch", 0)}
    return make_record(ImagePosted(image_id=image_id, content=content, **changes), offset=offset, **fields)


def tag(offset=0, *tags, image_id="a", **changes):
    return make_record(TagsApplied(image_id=image_id, tags=tags or ("cat",), **changes), offset=offset)


def delete(offset, event_id=""):
    return make_record(ImageDeleted(image_id="a"), offset=offset, event_id=event_id)


def test_an_older_post_after_a_deletion_does_nothing():
    states, examples, _ = play([post(0), tag(0), delete(2), post(1)])
    assert states["a"].deleted
    assert [e[-1] for e in examples.values()] == [False, True]


def test_a_retry_of_the_post_does_not_bring_a_deleted_picture_back():
    states, _, _ = play([post(0, event_id="p"), delete(1), post(2, event_id="p")])
    assert states["a"].deleted


def test_a_retry_of_the_deletion_does_not_take_the_next_picture_down():
    states, _, _ = play([post(0), delete(1, event_id="d"), post(2), delete(3, event_id="d")])
    assert not states["a"].deleted


def test_a_new_post_after_a_deletion_starts_without_tags():
    states, _, _ = play([post(0, tags=("cat",)), delete(1), post(2)])
    assert states["a"].payload.tags == ()
    assert states["a"].image_position > 0


def test_the_learner_hears_of_every_deletion_of_a_picture_that_was_there():
    assert [e[-1] for e in play([post(0), delete(1)])[1].values()] == [True]
    assert [e[-1] for e in play([post(0), tag(0), delete(1)])[1].values()] == [False, True]
    assert play([delete(0)])[1] == {}
    assert len(play([post(0), delete(1), delete(2)])[1]) == 1


def test_a_new_log_continues_where_the_old_one_ended():
    states, _, _ = play([post(9, content=b"pic1"), post(0, content=b"pic2", epoch=1)])
    assert np.array_equal(states["a"].vector, unit(ord("2")))
    assert play([post(9, content=b"pic1")], states)[0] == states


def test_another_picture_under_the_same_id_is_an_example_with_its_new_vector():
    _, examples, _ = play([post(0, content=b"pic1", tags=("cat",)), post(1, content=b"pic2")])
    first, second = examples.values()
    assert first[1] == embedded(b"pic1").quantised.tobytes()
    assert second[1:4] == (embedded(b"pic2").quantised.tobytes(), (), ())


def test_another_picture_keeps_tags_and_completeness():
    states, _, _ = play([post(0, tags=("cat",), complete=True), post(1, content=b"pic2", tags=("dog",))])
    assert states["a"].payload.tags == ("cat", "dog")
    assert states["a"].payload.complete


def test_a_picture_nobody_tagged_is_no_example():
    assert play([post(0), post(1, content=b"pic2")])[1] == {}
    assert len(play([post(0, complete=True)])[1]) == 1


def test_a_tag_carries_the_vector_the_index_holds():
    _, examples, _ = play([post(0), tag(0, "cat")])
    assert next(iter(examples.values()))[1] == embedded(b"pic1").quantised.tobytes()


def test_posted_at_is_the_events_time_or_the_records():
    assert play([post(0)])[0]["a"].payload.posted_at == "1970-01-01T00:00:00+00:00"


def test_a_tag_for_a_picture_nobody_posted_is_dead():
    record = tag(0)
    with pytest.raises(UnknownImageError) as caught:
        apply_event(None, decode(record.key, record.value, record.headers), record, None)
    assert caught.value.reason == "unknown_image"
    assert "post it" in str(caught.value)


def test_a_tag_for_a_deleted_picture_is_dead_for_another_reason():
    assert play([post(0), delete(1), tag(0)])[2] == ["image_deleted"]


@pytest.mark.parametrize("name", ["x" * 10_000, "\x07", "", "a\x00b", "\ud800"])
def test_a_tag_that_is_no_name_is_dead_and_changes_nothing(name):
    before, _, _ = play([post(0)])
    event = TagsApplied.model_construct(image_id="a", tags=("fine", name), by=None, complete=False)
    with pytest.raises(PolicyError) as caught:
        apply_event(before["a"], Envelope("1", "/s", event), tag(0), None)
    assert caught.value.reason == "bad_tag"
    str(caught.value).encode()


def test_identities_kept_per_picture_are_bounded():
    records = [post(0), *(tag(n, f"t{n}") for n in range(SEEN_EVENTS * 2))]
    assert len(play(records)[0]["a"].seen) == SEEN_EVENTS
