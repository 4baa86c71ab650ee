"""One event onto the state of one image: laws over random histories."""

from hypothesis import given
from hypothesis import strategies as st

from stream.events.codec import decode
from stream.events.schema import ImageDeleted, ImagePosted, TagsApplied, TagsRemoved
from tests.fakes import make_record
from tests.unit.stream.ingest.play import play


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
def test_positions_only_grow(records):
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
