"""One event onto the state of one image: the cases that have names."""

from dataclasses import replace

import numpy as np
import pytest

from stream.events.codec import decode
from stream.events.schema import ImageDeleted, ImagePosted, TagsApplied
from stream.ingest.apply import SEEN_EVENTS, apply_event
from stream.log.dead_letter import ORIGIN, dead_letter_headers
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
    states, examples, _ = play([post(0), tag(1), delete(3), post(2)])
    assert states["a"].deleted
    assert [e[5] for e in examples.values()] == [False, True]


def test_a_retry_of_the_post_does_not_bring_a_deleted_picture_back():
    states, _, _ = play([post(0, event_id="p"), delete(1), post(2, event_id="p")])
    assert states["a"].deleted


def test_a_retry_of_the_deletion_does_not_take_the_next_picture_down():
    states, _, _ = play([post(0), delete(1, event_id="d"), post(2), delete(3, event_id="d")])
    assert not states["a"].deleted


def test_a_new_post_after_a_deletion_starts_without_tags():
    states, _, _ = play([post(0, tags=("cat",)), delete(1), post(2)])
    assert states["a"].payload.tags == ()
    assert states["a"].position > 0


def test_the_learner_hears_of_every_deletion_of_a_picture_that_was_there():
    assert [e[5] for e in play([post(0), delete(1)])[1].values()] == [True]
    assert [e[5] for e in play([post(0), tag(1), delete(2)])[1].values()] == [False, True]
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
    _, examples, _ = play([post(0), tag(1, "cat")])
    assert next(iter(examples.values()))[1] == embedded(b"pic1").quantised.tobytes()


def test_posted_at_is_the_events_time_or_the_records():
    assert play([post(0)])[0]["a"].payload.posted_at == "1970-01-01T00:00:00+00:00"


def test_posted_at_of_the_first_post_stays():
    first, later = (replace(post(n, content=b"pic%d" % n), timestamp_ms=1_000 * n) for n in (1, 2))
    states, _, _ = play([first, later])
    assert states["a"].payload.posted_at == "1970-01-01T00:00:01+00:00"
    assert states["a"].payload.sha256 == embedded(b"pic2").payload.sha256
    again, _, _ = play([delete(3), replace(post(4), timestamp_ms=9_000)], states)
    assert again["a"].payload.posted_at == "1970-01-01T00:00:09+00:00"


def test_what_is_said_of_a_picture_stays_until_something_else_is_said():
    states, _, _ = play([post(0, title="Cat", author="Ada", source_url="https://example.org/1", metadata={"n": 1})])
    states, _, _ = play([tag(1), post(2, title="Dog"), post(3, content=b"pic2")], states)
    kept = states["a"].payload
    assert (kept.title, kept.author, kept.source_url) == ("Dog", "Ada", "https://example.org/1")
    assert kept.metadata == {"n": 1}
    states, _, _ = play([delete(4), post(5)], states)
    kept = states["a"].payload
    assert (kept.title, kept.author, kept.source_url, kept.metadata) == ("", "", "", {})


def test_a_tag_for_a_deleted_picture_is_dead():
    assert play([post(0), delete(1), tag(2)])[2] == ["image_deleted"]


@pytest.mark.parametrize("name", ["x" * 10_000, "\x07", "", "a\x00b", "\u200b"])
def test_a_bad_tag_costs_itself_alone(name):
    states, examples, dead = play([post(0, tags=("good", name)), tag(1, "fine", name, by="eve")])
    assert states["a"].payload.tags == ("good", "fine")
    assert [example[2] for example in examples.values()] == [("good",), ("fine",)]
    assert dead == ["bad_tag", "bad_tag"]


def test_the_dead_letter_of_a_bad_tag_says_that_tag_alone():
    record = tag(1, "fine", "x" * 200, "\x07", by="eve")
    applied = apply_event(play([post(0)])[0]["a"], decode(record.key, record.value, record.headers), record, None)
    letters = [decode(letter.key, letter.value, letter.headers).event for letter, _ in applied.dead]
    assert letters == [TagsApplied(image_id="a", tags=(name,), by="eve") for name in ("x" * 200, "\x07")]
    assert len({dict(dead_letter_headers(*one))[ORIGIN] for one in applied.dead} | {b"0/2/1"}) == 3


def test_who_said_a_tag_is_kept_and_travels_with_the_example():
    records = [post(0, tags=("cat",)), tag(1, "cat", "dog", by="eve"), tag(2, "dog", by="bob"), tag(3, "dog", by="eve")]
    states, examples, _ = play(records)
    assert states["a"].payload.tags == ("cat", "dog")
    payload = states["a"].payload
    cat, dog = ([payload.speakers[place][:2] for place in places] for places in payload.said)
    assert cat == [("", "/test"), ("eve", "/test")]
    assert dog == [("bob", "/test"), ("eve", "/test")]
    assert [example[-1] for example in examples.values()] == [
        (("", "/test"),), (("eve", "/test"), ("eve", "/test")), (("bob", "/test"),), (("eve", "/test"),),
    ]  # fmt: skip


@pytest.mark.parametrize("timestamp_ms", [-(2**63), -62_135_596_800_001, -1, 1_795_736_266_681_000, 2**63 - 1])
def test_a_time_outside_the_calendar_is_no_time(timestamp_ms):
    record = replace(post(0), timestamp_ms=timestamp_ms)
    assert play([record])[0]["a"].payload.posted_at == ""
    assert record.time_ms is None


def test_identities_kept_per_picture_are_bounded():
    records = [post(0), *(tag(n, f"t{n}") for n in range(1, SEEN_EVENTS * 2))]
    assert len(play(records)[0]["a"].seen) == SEEN_EVENTS
