"""Tags for images that are not there: they wait in the log's own order, and no clock ends it."""

import random

import pytest

from stream.events.codec import decode
from stream.events.schema import TagsRemoved, WaitingEnded
from stream.ingest.waits import WAITING_EVENTS
from stream.log.dead_letter import ORIGIN
from tests.unit.stream.ingest.rig import Rig, delete, post, tag, wait_for


def state(rig, image_id):
    return rig.index.real.fetch([image_id])[image_id]


def test_a_tag_waits_for_its_image_and_is_on_it_when_it_comes(rig):
    rig.log.post(tag("a", "early"), TagsRemoved(image_id="a", tags=("never",)), tag("a", "Red Panda"))
    rig.run()
    assert (state(rig, "a").kind, len(state(rig, "a").waiting), rig.examples()) == ("waiting", 3, [])
    rig.log.post(post("a", tags=("cat",)))
    rig.run()
    assert state(rig, "a").payload.tags == ("early", "red panda", "cat")
    assert state(rig, "a").waiting == ()
    assert [example.added for _, example in rig.examples()] == [("early", "red panda", "cat")]
    assert rig.dead() == []


def test_no_search_finds_what_waits(rig):
    rig.log.post(post("a", tags=("cat",)), tag("ghost", "cat"))
    rig.run()
    assert rig.index.real.count() == 1
    assert [hit.image_id for hit in rig.index.real.scroll(None, 9)[0]] == ["a"]
    assert [hit.image_id for hit in rig.index.real.search(state_vector(rig), 9)] == ["a"]
    assert [record.image_id for record in rig.index.real.scroll_waiting(None, 9)[0]] == ["ghost"]


def state_vector(rig):
    return rig.index.real.fetch(["a"], with_vectors=True)["a"].vector


@pytest.mark.parametrize("ended", [WaitingEnded(image_id="ghost"), delete("ghost")])
def test_who_gives_up_waiting_gets_the_original_records_as_dead_letters(rig, ended):
    rig.log.post(tag("ghost", "cat"), tag("ghost", "dog"))
    first, second = rig.log.read("images", 0, 0)
    rig.log.post(ended)
    rig.run()
    reason = "unknown_image" if isinstance(ended, WaitingEnded) else "image_deleted"
    assert rig.dead() == [("images.dlq", b"ghost", reason)] * 2
    letters = rig.writer.to("images.dlq")
    assert [letter.value for letter in letters] == [first.value, second.value]
    assert [dict(letter.headers)[ORIGIN] for letter in letters] == [b"0/1/0", b"0/2/1"]


def test_a_replay_of_what_waited_in_vain_waits_again(rig):
    rig.log.post(tag("ghost", "cat"), event_id="t")
    rig.log.post(WaitingEnded(image_id="ghost"), event_id="e")
    rig.log.post(tag("ghost", "cat"), event_id="t")
    rig.log.post(post("ghost"))
    rig.run()
    assert state(rig, "ghost").payload.tags == ("cat",)


def test_where_too_many_wait_the_oldest_end_by_an_event_in_the_log(tmp_path):
    rig = Rig(tmp_path, ingest={"waiting_limit": 3})
    rig.log.post(*(tag(f"g{n}", "cat") for n in range(5)))
    rig.run()
    sent = [decode(one.key, one.value, one.headers).event for one in rig.writer.to("images")]
    assert sent == [WaitingEnded(image_id="g0", until=1), WaitingEnded(image_id="g1", until=2)]
    rig.log.post(*sent, post("g0"))
    rig.run()
    assert rig.dead() == [("images.dlq", b"g0", "unknown_image"), ("images.dlq", b"g1", "unknown_image")]
    assert [state(rig, f"g{n}").kind for n in range(5)] == ["image", "empty", "waiting", "waiting", "waiting"]
    assert len(rig.writer.to("images")) == 2  # nobody is over the limit any more


def test_an_image_keeps_a_bounded_number_of_events(rig):
    rig.log.post(*(tag("ghost", f"t{n}") for n in range(WAITING_EVENTS + 2)))
    rig.run()
    assert len(state(rig, "ghost").waiting) == WAITING_EVENTS
    assert [dict(one.headers)[ORIGIN] for one in rig.writer.to("images.dlq")] == [b"0/1/0", b"0/2/1"]


@pytest.mark.parametrize("seed", range(3))
def test_tags_before_and_after_their_images_with_the_index_away_end_as_in_a_calm_run(tmp_path, seed):
    rng = random.Random(seed)
    events = [event for n in range(60) for event in (post(f"i{n}", b"pic%d" % n), tag(f"i{n}", "a"), tag(f"i{n}", "b"))]
    rng.shuffle(events)
    calm = Rig(tmp_path / "calm")
    calm.log.post(*events)
    calm.run()
    rig = Rig(tmp_path / "away")
    rig.log.post(*events[:90])
    worker = rig.worker()
    rig.index.away = 7
    worker.start()
    wait_for(lambda: rig.index.away == 0)
    rig.log.post(*events[90:])
    wait_for(rig.is_done)
    worker.pipeline.stopping.stop()
    worker.join()
    assert rig.dead() == []
    assert {state(rig, f"i{n}").payload.tags for n in range(60)} <= {("a", "b"), ("b", "a")}
    assert rig.outcome() == calm.outcome()


def test_a_record_that_says_too_much_is_dead_and_leaves_the_image_as_it_was(tmp_path):
    rig = Rig(tmp_path, kafka={"max_record_bytes": 10_000})
    rig.log.post(post("a", tags=("cat",)), tag("a", *(f"{n} {'x' * 90}" for n in range(200))), tag("a", "pet"))
    rig.run()
    assert rig.dead() == [("images.dlq", b"a", "policy")]
    assert state(rig, "a").payload.tags == ("cat", "pet")
    assert [example.added for _, example in rig.examples()] == [("cat",), ("pet",)]
