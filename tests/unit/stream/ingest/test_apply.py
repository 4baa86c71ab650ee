"""One event onto the state of one image: laws over random histories, then the cases that have names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import PoisonError, PolicyError, UnknownImageError
from models.quantise import quantise
from stream.events.codec import Envelope, decode
from stream.events.schema import ImageDeleted, ImagePosted, TagsApplied, TagsRemoved
from stream.ingest.apply import SEEN_EVENTS, EmbeddedImage, apply_event
from tests.fakes import make_record, payload, unit


def embedded(content: bytes) -> EmbeddedImage:
    """As decoding and embedding would make it: a function of the bytes."""
    return EmbeddedImage(quantise(unit(content[-1])[None])[0], payload(sha256=content.hex().rjust(64, "0")))


def play(records, states=None):
    """Apply records in order: the states after them, examples by where they came from, and the reasons of the dead."""
    states, examples, dead = dict(states or {}), {}, []
    for record in records:
        envelope = decode(record.key, record.value, record.headers)
        event = envelope.event
        image = embedded(event.content) if isinstance(event, ImagePosted) else None
        try:
            applied = apply_event(states.get(event.image_id), envelope, record, image)
        except PoisonError as error:
            dead.append(error.reason)
            continue
        if applied is not None:
            states[event.image_id] = applied.record
            if applied.example is not None:
                examples[record.topic, record.position] = flat_example(applied.example)
    return states, examples, dead


def flat_example(example):
    vector = None if example.vector is None else example.vector.tobytes()
    return (example.image_id, vector, example.added, example.removed, example.complete, example.deleted)


def flat(states):
    return {
        image_id: (
            r.image_position,
            r.tags_position,
            r.payload,
            r.seen,
            None if r.vector is None else r.vector.tobytes(),
            r.deleted,
        )
        for image_id, r in states.items()
    }


IDS = st.sampled_from(["a", "b"])
TAGS = st.lists(st.sampled_from(["cat", "Cat", "dog", "red panda"]), max_size=3).map(tuple)
EVENTS = st.one_of(
    st.builds(
        ImagePosted, image_id=IDS, content=st.sampled_from([b"pic1", b"pic2"]), media_type=st.none(), dataref=st.none(),
        sha256=st.none(), tags=TAGS, complete=st.booleans(),
    ),
    st.builds(ImageDeleted, image_id=IDS),
    st.builds(TagsApplied, image_id=IDS, tags=TAGS, by=st.none(), complete=st.booleans()),
    st.builds(TagsRemoved, image_id=IDS, tags=TAGS.filter(bool), by=st.none()),
)  # fmt: skip
STEPS = st.lists(st.tuples(EVENTS, st.booleans()), max_size=12)  # True: a producer's retry of the event before


@st.composite
def histories(draw):
    """Records of one partition in the order they apply: offsets count per topic, retries keep their event id."""
    counts, records, last = {"images": 0, "tags": 0}, [], None
    for event, retry in draw(STEPS):
        if retry and last is not None:
            event, event_id = last
        else:
            event_id = f"e{len(records)}"
        last = (event, event_id)
        records.append(make_record(event, offset=counts[event.topic], timestamp_ms=len(records), event_id=event_id))
        counts[event.topic] += 1
    return records


@given(histories(), st.integers(0, 12), st.integers(0, 12))
def test_replaying_any_part_of_the_log_changes_nothing(records, first, second):
    low, high = sorted((first, second))
    once, examples, _ = play(records)
    middle, sent, _ = play(records[:high])
    again, repeated, _ = play(records[low:], middle)
    assert flat(again) == flat(once)
    assert sent | repeated == examples


@given(histories(), st.integers(0, 12))
def test_a_worker_that_died_before_its_write_sends_the_same_examples_again(records, cut):
    _, examples, _ = play(records)
    durable, sent, _ = play(records[:cut])
    _, resent, _ = play(records[cut:], durable)
    for source in sent.keys() | resent.keys():
        assert (sent | resent)[source] == examples[source]


@given(histories())
def test_a_retry_is_applied_once(records):
    seen, unique = set(), []
    for record in records:
        event_id = dict(record.headers)["ce_id"]
        if event_id not in seen:
            unique.append(record)
        seen.add(event_id)
    once, with_retries = play(unique)[0], play(records)[0]
    ignoring_versions = {i: state[2:] for i, state in flat(once).items()}
    assert {i: state[2:] for i, state in flat(with_retries).items()} == ignoring_versions


@given(histories())
def test_versions_only_grow(records):
    states = {}
    for record in records:
        after = play([record], states)[0]
        for image_id, state in states.items():
            assert after[image_id].image_position >= state.image_position
            assert after[image_id].tags_position >= state.tags_position
        states = after


@given(histories())
def test_tags_are_a_set_of_normal_names(records):
    expected, alive = {}, set()
    for record in records:
        event = decode(record.key, record.value, record.headers).event
        before = expected.setdefault(event.image_id, set())
        names = {tag.lower() for tag in getattr(event, "tags", ())}
        if isinstance(event, ImageDeleted):
            alive.discard(event.image_id)
            before.clear()
        elif isinstance(event, ImagePosted):
            alive.add(event.image_id)
            before |= names
        elif event.image_id in alive:
            before.difference_update(names) if isinstance(event, TagsRemoved) else before.update(names)
    unique = {dict(r.headers)["ce_id"] for r in records}
    if len(unique) == len(records):
        for image_id, state in play(records)[0].items():
            tags = state.payload.tags if state.payload is not None else ()
            assert set(tags) == expected[image_id]
            assert len(tags) == len(set(tags))


# ---- cases with names ---------------------------------------------------------------------------------------------


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


def test_another_picture_under_the_same_id_is_told_with_its_new_vector():
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
