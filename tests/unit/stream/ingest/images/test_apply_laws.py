"""One event onto the state of one image: laws over random histories; and that no record at all ends the worker."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events.codec import decode
from stream.events.schema import ImageDeleted, ImagePosted, TagsApplied, TagsRemoved, TagsRevoked, WaitingEnded
from stream.log.record import Record
from tests.fakes import make_record
from tests.strategies import events
from tests.unit.stream.ingest.play import play
from tests.unit.stream.ingest.rig import Rig, post


def flat(states):
    return {
        image_id: (
            r.position,
            r.payload,
            r.seen,
            None if r.vector is None else r.vector.tobytes(),
            r.deleted,
            r.waiting,
        )
        for image_id, r in states.items()
    }


def without_places(states):
    """What the states say, wherever in the log it was said."""
    waiting = {i: [Record.from_text(text).value for text in state.waiting] for i, state in states.items()}
    payloads, said = {}, {}
    for i, payload in ((i, state.payload) for i, state in states.items()):
        payloads[i] = payload and replace(payload, speakers=(), said=(), posted_at="")
        said[i] = payload and [[payload.speakers[at][:2] for at in places] for places in payload.said]
    return {i: (payloads[i], said[i], state[2:5], waiting[i]) for i, state in flat(states).items()}


IDS = st.sampled_from(["a", "b"])
TAGS = st.lists(st.sampled_from(["cat", "Cat", "dog", "red panda"]), max_size=3).map(tuple)
EVENTS = st.one_of(
    st.builds(
        ImagePosted, image_id=IDS, content=st.sampled_from([b"pic1", b"pic2"]), media_type=st.none(), dataref=st.none(),
        sha256=st.none(), tags=TAGS, complete=st.booleans(), title=st.sampled_from([None, "one", "two"]),
        metadata=st.sampled_from([{}, {"n": 1}]), author=st.none(), source_url=st.none(),
    ),
    st.builds(ImageDeleted, image_id=IDS),
    st.builds(TagsApplied, image_id=IDS, tags=TAGS, by=st.sampled_from([None, "ann"]), complete=st.booleans()),
    st.builds(TagsRemoved, image_id=IDS, tags=TAGS.filter(bool), by=st.none()),
    st.builds(
        TagsRevoked, image_id=IDS, revocation=st.sampled_from(["r1", "r2"]), said_by=st.sampled_from(["ann", "/test"]),
        since=st.just(""), undo=st.booleans(),
    ),
    st.builds(WaitingEnded, image_id=IDS, until=st.none() | st.integers(0, 12)),
)  # fmt: skip
STEPS = st.lists(st.tuples(EVENTS, st.booleans()), max_size=12)  # True: a producer's retry of the event before


@st.composite
def histories(draw):
    """Records of one partition; retries keep their event id."""
    records, last = [], None
    for event, retry in draw(STEPS):
        if retry and last is not None:
            event, event_id = last
        else:
            event_id = f"e{len(records)}"
        last = (event, event_id)
        records.append(make_record(event, offset=len(records), timestamp_ms=len(records), event_id=event_id))
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


class Owner:
    """A worker of the partition: remembers what it wrote, begins where the offset stands, may be a zombie for long."""

    def __init__(self, points, offset):
        self.points, self.at, self.memory = points, offset[0], {}

    def work(self, records, offset, size, *, answered=True, stores_offset=True):
        """One batch: apply, write what is newer, then the offset; without an answer it does the same again later."""
        batch = records[self.at : self.at + size]
        ids = {record.key.decode() for record in batch}
        states = {i: self.memory.get(i, self.points.get(i)) for i in ids}
        after, _, _ = play(batch, {i: state for i, state in states.items() if state is not None})
        for image_id, state in after.items():
            if may_replace(self.points.get(image_id), state):
                self.points[image_id] = state
        if answered:
            self.memory |= after
            self.at += len(batch)
            if stores_offset:
                offset[0] = max(offset[0], self.at)


def may_replace(stored, state):
    """As the index decides."""
    return stored is None or stored.position <= state.position


STEP = st.tuples(
    st.integers(0, 1), st.sampled_from(["work", "work", "no answer", "no offset", "killed"]), st.integers(1, 3)
)


@settings(max_examples=300)
@given(histories(), st.lists(STEP, min_size=5, max_size=25))
def test_any_interleaving_of_owners_ends_in_the_points_of_one(records, steps):
    """Two owners, either of which may be a zombie; lost answers, offsets that were not stored, kills, redelivery."""
    points, offset = {}, [0]
    owners = [Owner(points, offset), Owner(points, offset)]
    for number, step, size in steps:
        if step == "killed":
            owners[number] = Owner(points, offset)
        else:
            owners[number].work(
                records,
                offset,
                size,
                answered=step != "no answer",
                stores_offset=step not in ("no answer", "no offset"),
            )
    last = Owner(points, offset)
    while last.at < len(records):
        last.work(records, offset, 3)
    assert flat(points) == flat(play(records)[0])


@given(histories())
def test_a_retry_is_applied_once(records):
    seen, unique = set(), []
    for record in records:
        event_id = dict(record.headers)["ce_id"]
        if event_id not in seen:
            unique.append(record)
        seen.add(event_id)
    once, with_retries = play(unique)[0], play(records)[0]
    assert without_places(with_retries) == without_places(once)


@given(histories())
def test_positions_only_grow(records):
    states = {}
    for record in records:
        after = play([record], states)[0]
        for image_id, state in states.items():
            assert after[image_id].position >= state.position
        states = after


@given(histories().map(lambda records: [one for one in records if b"revoked" not in dict(one.headers)["ce_type"]]))
def test_an_image_carries_what_was_said_of_it_in_the_order_of_the_log(records):
    """Also what was said before it came, unless somebody gave up waiting."""
    said, waiting, alive, gone = {}, {}, set(), set()
    for record in records:
        event = decode(record.key, record.value, record.headers).event
        image_id = event.image_id
        tags, early = said.setdefault(image_id, set()), waiting.setdefault(image_id, [])
        names = {tag.lower() for tag in getattr(event, "tags", ())}
        if isinstance(event, ImageDeleted):
            alive.discard(image_id)
            gone.add(image_id)
            tags.clear()
            early.clear()
        elif isinstance(event, WaitingEnded):
            early[:] = [one for one in early if event.until is not None and one[0] > event.until]
        elif isinstance(event, ImagePosted):
            for _, change, others in early:
                change(others)
            early.clear()
            alive.add(image_id)
            tags |= names
        elif image_id in alive or image_id not in gone:
            change = tags.difference_update if isinstance(event, TagsRemoved) else tags.update
            if image_id in alive:
                change(names)
            else:
                early.append((record.position, change, names))
    if len({dict(r.headers)["ce_id"] for r in records}) == len(records):
        for image_id, state in play(records)[0].items():
            assert (state.payload is not None) == (image_id in alive)
            if state.payload is not None:
                assert set(state.payload.tags) == said[image_id]
                assert len(state.payload.tags) == len(state.payload.said)


TIMES = st.integers(-(2**63), 2**63 - 1)
HEADERS = st.lists(st.tuples(
    st.sampled_from(["ce_id", "ce_source", "ce_type", "ce_tags", "ce_time", "ce_subject", "content-type", "x"]),
    st.binary(max_size=30),
), max_size=4).map(tuple)  # fmt: skip
MADE = st.builds(lambda event, time_ms: make_record(event, timestamp_ms=time_ms), events, TIMES)
BROKEN = st.builds(
    lambda record, headers, value: replace(record, headers=(*record.headers, *headers), value=value),
    MADE, HEADERS, st.none() | st.binary(max_size=60),
)  # fmt: skip
RAW = st.builds(Record, st.just("images"), st.just(0), st.just(0), st.just(0), TIMES, st.none() | st.binary(max_size=9),
                st.none() | st.binary(max_size=60), HEADERS)  # fmt: skip


def no_record_ends(folder, records, topic):
    rig = Rig(folder, ingest={"breaker_records": 1_000_000})
    for offset, record in enumerate(records):
        rig.log.append(replace(record, topic=topic, offset=offset, position=offset + 1))
    rig.run()
    assert rig.offsets() == {(topic, 0): len(records)}
    rig.log.post(post("after"))
    rig.run()
    assert rig.index.real.fetch(["after"])["after"].kind == "image"


ODD = {
    "records": st.lists(MADE | BROKEN | RAW, min_size=1, max_size=12),
    "topic": st.sampled_from(["images", "operations"]),
}


@settings(max_examples=100)
@given(**ODD)
def test_no_record_ends_the_worker(tmp_path_factory, records, topic):
    no_record_ends(tmp_path_factory.mktemp("odd"), records, topic)


@pytest.mark.long
@pytest.mark.timeout(900)
@settings(max_examples=2_000)
@given(**ODD)
def test_no_record_ends_the_worker_for_minutes(tmp_path_factory, records, topic):
    no_record_ends(tmp_path_factory.mktemp("odd"), records, topic)
