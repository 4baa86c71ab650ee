"""Pictures that take their own time: others do not wait for them, and the image ends as if they had been quick."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events.schema import ImageDecoded, ImagePosted, TagsRemoved
from stream.ingest.waits import decoded_event
from tests.fakes import make_record
from tests.unit.stream.ingest.images.test_apply_laws import EVENTS
from tests.unit.stream.ingest.play import embedded, play
from tests.unit.stream.ingest.rig import delete, post, tag, wait_for


def slow(image_id, content=b"slow1", **fields):
    return post(image_id, content, **fields)


def state(rig, image_id):
    with rig.index.lock:
        return rig.index.real.fetch([image_id])[image_id]


def test_good_pictures_do_not_wait_for_slow_ones(rig):
    rig.slow_decoder.gate.clear()
    rig.log.post(*(slow(f"s{n}", b"slow%d" % n) for n in range(6)), post("good"), tag("good", "cat"))
    worker = rig.worker().start()
    try:
        wait_for(rig.is_done)
        assert state(rig, "good").payload.tags == ("cat",)
        assert rig.pictures_waiting() == 6
        rig.slow_decoder.gate.set()
        wait_for(lambda: len(rig.decoded()) == 6)
    finally:
        rig.slow_decoder.gate.set()
        worker.pipeline.stopping.stop()
        worker.join()
    assert {event.image_id for event in rig.decoded()} == {f"s{n}" for n in range(6)}
    assert not rig.dead()


def test_a_slow_picture_is_there_with_the_tags_of_before_and_of_after_it(rig):
    said = {"title": "Ca\nt", "source_url": "https://example.org/", "author": "Ada", "metadata": {"n": 1.5, "b": None}}
    rig.log.post(
        *(tag("a", "early"), slow("a", tags=("cat", "x"), **said), tag("a", "late")),
        TagsRemoved(image_id="a", tags=("x",)),
    )
    rig.settle()
    found = state(rig, "a")
    assert {name: getattr(found.payload, name) for name in said} == said
    assert found.payload.tags == ("early", "cat", "late")
    assert (found.waiting, found.undecoded) == ((), ())
    assert rig.pictures.get(found.payload.stored) == b"slow1"
    assert [(one.image_id, set(one.added), one.removed) for _, one in rig.examples()] == [
        ("a", {"early", "cat", "late"}, ("x",))
    ]


def test_a_slow_picture_that_is_none_is_a_dead_letter_with_its_bytes_and_leaves_none_behind(rig):
    rig.log.post(slow("a", b"slow bad", tags=("cat",)), tag("a", "dog"))
    rig.settle()
    (letter,) = rig.writer.to("images.dlq")
    assert (letter.key, letter.value) == (b"a", b"slow bad")
    assert rig.dead() == [("images.dlq", b"a", "not_an_image")]
    assert [name for name, _ in letter.headers if name.startswith("mekiki_")] == [
        "mekiki_dlq_reason", "mekiki_dlq_text", "mekiki_dlq_origin",
    ]  # fmt: skip
    assert rig.pictures.kept == {}
    assert (state(rig, "a").kind, len(state(rig, "a").waiting)) == ("waiting", 1)
    assert rig.examples() == []


def test_what_waits_is_taken_up_by_the_next_worker(rig):
    rig.slow_decoder.gate.clear()
    rig.log.post(slow("a"))
    worker = rig.worker().start()
    wait_for(lambda: rig.is_done() and rig.slow_decoder.calls == 1)
    worker.pipeline.stopping.stop()
    worker.join()
    rig.slow_decoder.gate.set()
    rig.settle()
    assert state(rig, "a").payload is not None


@pytest.mark.parametrize("then", [delete("a"), post("a", b"pic2")], ids=["deleted", "replaced"])
def test_a_picture_that_is_not_wanted_any_more_does_not_come_back(rig, then):
    rig.log.post(slow("a", tags=("cat",)), then)
    late = decoded_event("a", rig.log.read("images", 0, 0)[0].position, embedded(b"slow1"))
    rig.log.post(late)
    rig.run()
    found = state(rig, "a")
    assert found.undecoded == () and found.deleted == (then == delete("a"))
    assert list(rig.pictures.kept.values()) == ([] if found.deleted else [b"pic2"])
    assert found.payload is None or found.payload.tags == ("cat",)


def test_bytes_stay_while_another_image_waits_with_them(rig):
    rig.log.post(slow("a"), slow("b"), delete("a"))
    rig.run()
    assert list(rig.pictures.kept.values()) == [b"slow1"]
    rig.log.post(delete("b"))
    rig.run()
    assert rig.pictures.kept == {}


@pytest.mark.parametrize("forged", [
    ImageDecoded(image_id="a", of=1, vector="AAAA", fields={"sha256": "0" * 64}),
    ImageDecoded(image_id="a", of=1, vector="not base64", fields={}),
    ImageDecoded(image_id="a", of=1, fields={"colour": "red"}),
])  # fmt: skip
def test_what_somebody_else_says_of_a_picture_is_a_dead_letter(rig, forged):
    rig.log.post(post("a"), forged)
    rig.run()
    assert rig.dead() == [("images.dlq", b"a", "bad_event")]


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/1", "HTTP://127.0.0.1:1/1"])
def test_what_others_serve_is_slow_whatever_it_is(rig, url):
    rig.slow_decoder.gate.clear()
    rig.log.post(ImagePosted(image_id="a", dataref=url), ImagePosted(image_id="b", dataref="file:///nowhere"))
    rig.run()
    assert state(rig, "a").undecoded == ("",)
    assert rig.dead() == [("images.dlq", b"b", "dataref_forbidden")]


@st.composite
def slow_histories(draw):
    """The events of a history, and after each event which of the pictures so far are decoded just then."""
    happened = draw(st.lists(EVENTS.filter(lambda one: one.type != "mekiki.waiting.ended.v1"), max_size=7))
    return happened, [draw(st.lists(st.integers(0, 6), max_size=3)) for _ in happened]


@given(slow_histories())
def test_slow_pictures_end_as_quick_ones(history):
    happened, decodings = history
    quick, _, _ = play([make_record(event, offset=n, event_id=f"e{n}") for n, event in enumerate(happened)])
    records, posts = [], []

    def say(number):
        record, event = posts[number]
        told = decoded_event(event.image_id, record.position, embedded(event.content))
        records.append(make_record(told, offset=len(records), event_id=f"d{number}"))

    for number, (event, now) in enumerate(zip(happened, decodings, strict=True)):
        records.append(make_record(event, offset=len(records), event_id=f"e{number}"))
        if isinstance(event, ImagePosted):
            posts.append((records[-1], event))
        for which in now:
            if which < len(posts):
                say(which)
    for which in range(len(posts)):
        say(which)
    late, examples, _ = play(records, slow=True)
    for image_id, state in quick.items():
        assert picture(late[image_id]) == picture(state)
        assert late[image_id].undecoded == ()
        assert learned(examples, image_id) == (set(state.payload.tags) if state.payload else set())


def picture(state):
    kept = state.payload
    said = kept and (kept.sha256, set(kept.tags), kept.complete, kept.title, kept.metadata, kept.posted_at)
    return state.deleted, len(state.waiting), said


def learned(examples, image_id):
    """The tags of an image as a learner has them."""
    tags = set()
    for _, (name, _, added, removed, _, deleted, revoked, _) in sorted(examples.items()):
        if name == image_id:
            tags = set() if deleted else (tags - {*removed, *revoked}) | set(added)
    return tags
