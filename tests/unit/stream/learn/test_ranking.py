"""The ranking worker over clicks in memory: which pairs are learned, from what, and each once."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events.schema import TagsApplied
from stream.index.payload import IndexRecord
from tests.fakes import make_record
from tests.strategies import events
from tests.unit.stream.learn.clicks import Clicks, click, expected, page, pair, same


@pytest.fixture
def clicks(tmp_path):
    return Clicks(tmp_path)


def learn(clicks, *events):
    clicks.log.post(*events)
    clicks.run()


def test_a_pair_is_learned_as_it_was_clicked(clicks):
    learn(clicks, pair("i3", "i4"), pair("i1", "i2"))
    assert same(clicks.learned(), expected((3, 4, 1.0), (1, 2, 1.0)))
    assert clicks.dead() == []


def test_a_click_on_a_page_is_preferred_over_what_stood_above_it_and_the_next_below(clicks):
    learn(clicks, page("p", "i0", "i1", "i2", "i3", "i4"), click("p", "i2"))
    assert same(clicks.learned(), expected((2, 0, 1.0), (2, 1, 1.0), (2, 3, 1.0)))


def test_a_batch_that_was_left_out_moves_the_offset_and_nothing_else(clicks):
    clicks.log.post(pair("i3", "i4"))
    clicks.log.append(replace(make_record(pair("i0", "i0"), offset=1), key=None, value=None, headers=(), lost=True))
    learn(clicks)
    assert same(clicks.learned(), expected((3, 4, 1.0)))
    assert clicks.dead() == []
    assert [offset["offset"] for offset in clicks.saved()[0]["offsets"]] == [2]


def test_propensities_weigh_the_pairs(clicks):
    learn(clicks, page("p", "i0", "i1", "i2", propensities=(1.0, 0.5, 0.25)), click("p", "i1"))
    assert same(clicks.learned(), expected((1, 0, 2.0), (1, 2, 0.5)))


def test_a_page_shown_again_without_propensities_has_none(clicks):
    learn(clicks, page("p", "i0", "i1", propensities=(1.0, 0.5)), page("p", "i0", "i1"), click("p", "i1"))
    assert same(clicks.learned(), expected((1, 0, 1.0)))


def test_what_was_clicked_before_on_the_same_page_was_not_left(clicks):
    learn(clicks, page("p", "i0", "i1", "i2"), click("p", "i0"), click("p", "i2"))
    assert same(clicks.learned(), expected((0, 1, 1.0), (2, 1, 1.0)))


@pytest.mark.parametrize(("events", "reason"), [
    ([click("never shown", "i0")], "unknown_impression"),
    ([page("p", "i0", "i1"), click("p", "i9")], "bad_event"),
    ([pair("i0", "i0")], "bad_event"),
])  # fmt: skip
def test_a_click_that_says_nothing_is_a_dead_letter_and_the_next_is_learned(clicks, events, reason):
    learn(clicks, *events, pair("i1", "i2"))
    assert clicks.dead() == [reason]
    assert same(clicks.learned(), expected((1, 2, 1.0)))


def test_an_event_of_another_topic_is_a_dead_letter(clicks):
    clicks.log.append(replace(make_record(TagsApplied(image_id="i0", tags=("cat",))), topic="clicks"))
    clicks.run()
    assert clicks.dead() == ["wrong_topic"]


# ---- images that are not there ------------------------------------------------------------------------------------


def replay(clicks):
    """Post the dead letters again, as `mekiki dlq replay` does: the same bytes and headers."""
    for sent in clicks.writer.to("clicks.dlq"):
        offset = clicks.log.end("clicks", 0)
        headers = tuple(header for header in sent.headers if not header[0].startswith("mekiki_dlq"))
        record = make_record(pair("a", "b"), offset=offset)
        clicks.log.append(replace(record, key=sent.key, value=sent.value, headers=headers))
    clicks.writer.acknowledged.clear()
    clicks.run()


def test_a_pair_with_an_unknown_image_is_learned_when_its_dead_letter_is_replayed(clicks):
    learn(clicks, pair("i1", "i20"), pair("i1", "i2"))
    assert clicks.dead() == ["unknown_image"]
    assert same(clicks.learned(), expected((1, 2, 1.0)))
    clicks.post_images(20)
    replay(clicks)
    assert clicks.dead() == []
    assert same(clicks.learned(), expected((1, 2, 1.0), (1, 20, 1.0)))


def test_an_image_that_tags_wait_for_is_unknown(clicks):
    clicks.index.real.write([IndexRecord("i20", 3, waiting=("a tag",))], [])
    learn(clicks, pair("i1", "i20"))
    assert clicks.dead() == ["unknown_image"]


def no_record_ends(folder, made, timestamp_ms, value):
    clicks = Clicks(folder)
    records = [make_record(event, timestamp_ms=timestamp_ms) for event in made]
    records.append(replace(records[0], value=value))
    for offset, record in enumerate(records):
        clicks.log.append(replace(record, topic="clicks", partition=0, offset=offset, position=offset + 1))
    clicks.log.post(pair("i1", "i2"))
    clicks.run()
    assert same(clicks.learned(), expected((1, 2, 1.0)))


ODD = {
    "made": st.lists(events, min_size=1, max_size=8), "timestamp_ms": st.integers(-(2**63), 2**63 - 1),
    "value": st.none() | st.binary(max_size=40),
}  # fmt: skip


@settings(max_examples=50)
@given(**ODD)
def test_no_record_ends_the_worker(tmp_path_factory, made, timestamp_ms, value):
    no_record_ends(tmp_path_factory.mktemp("odd"), made, timestamp_ms, value)


@pytest.mark.long
@pytest.mark.timeout(900)
@settings(max_examples=2_000)
@given(**ODD)
def test_no_record_ends_the_worker_for_minutes(tmp_path_factory, made, timestamp_ms, value):
    no_record_ends(tmp_path_factory.mktemp("odd"), made, timestamp_ms, value)


def test_of_a_page_with_an_unknown_image_a_replay_learns_what_was_missing_and_nothing_twice(clicks):
    learn(clicks, page("p", "i0", "i20", "i2", "i21"), click("p", "i2"), pair("i4", "i5"))
    assert clicks.dead() == ["unknown_image"]
    assert same(clicks.learned(), expected((2, 0, 1.0), (4, 5, 1.0)))
    replay(clicks)
    assert clicks.dead() == ["unknown_image"]
    clicks.post_images(20)
    replay(clicks)  # one of the two is still missing
    assert same(clicks.learned(), expected((2, 0, 1.0), (4, 5, 1.0), (2, 20, 1.0)))
    clicks.post_images(21)
    for _ in range(3):
        replay(clicks)
    assert clicks.dead() == []
    assert same(clicks.learned(), expected((2, 0, 1.0), (4, 5, 1.0), (2, 20, 1.0), (2, 21, 1.0)))


def test_a_page_with_a_deleted_image_teaches_the_others(clicks):
    clicks.delete_image(1)
    learn(clicks, page("p", "i0", "i1", "i2"), click("p", "i2"))
    assert clicks.dead() == []
    assert same(clicks.learned(), expected((2, 0, 1.0)))


def test_a_click_of_which_deletions_leave_nothing_is_a_dead_letter(clicks):
    clicks.delete_image(1)
    learn(clicks, pair("i1", "i2"), pair("i3", "i4"))
    assert clicks.dead() == ["image_deleted"]
    assert same(clicks.learned(), expected((3, 4, 1.0)))
    clicks.post_images(1, position=9)
    replay(clicks)
    assert same(clicks.learned(), expected((3, 4, 1.0), (1, 2, 1.0)))


@pytest.mark.parametrize(("failing", "refusing"), [(1, 0), (3, 0), (0, 1), (2, 2)])
def test_dead_letters_that_the_broker_lost_are_sent_again(clicks, failing, refusing):
    clicks.log.post(page("p", "i0", "i1"), pair("i1", "i20"), pair("i0", "i0"), click("q", "i1"))
    worker = clicks.worker()
    worker.worker.publish()  # the empty model, so that what fails is the dead letters
    clicks.writer.failing, clicks.writer.refusing = failing, refusing
    worker.run()
    assert sorted(clicks.dead()) == ["bad_event", "unknown_image", "unknown_impression"]
    assert clicks.saved()[0]["offsets"][0]["offset"] == 4


# ---- repeated events ----------------------------------------------------------------------------------------------


def test_an_event_that_comes_twice_in_one_poll_is_learned_once(clicks):
    clicks.log.post(pair("i1", "i2"), event_id="same")
    clicks.log.post(pair("i1", "i2"), event_id="same")
    clicks.run()
    assert same(clicks.learned(), expected((1, 2, 1.0)))


def test_an_event_that_comes_again_later_is_learned_once(clicks):
    worker = clicks.worker()
    worker.reader.most = 1
    clicks.log.post(pair("i1", "i2"), event_id="same")
    clicks.log.post(page("p", "i0", "i1"))
    clicks.log.post(click("p", "i1"), event_id="click")
    clicks.log.post(pair("i1", "i2"), event_id="same")
    clicks.log.post(click("p", "i1"), event_id="click")
    worker.run()
    assert same(clicks.learned(), expected((1, 2, 1.0), (1, 0, 1.0)))


def test_an_event_that_comes_again_after_a_restart_is_learned_once(clicks):
    clicks.log.post(pair("i1", "i2"), event_id="same")
    clicks.run()
    clicks.log.post(pair("i1", "i2"), event_id="same")
    clicks.log.post(pair("i3", "i4"), event_id="another")
    clicks.run()
    assert same(clicks.learned(), expected((1, 2, 1.0), (3, 4, 1.0)))


def test_two_events_of_the_same_content_are_two(clicks):
    learn(clicks, pair("i1", "i2"), pair("i1", "i2"))
    assert same(clicks.learned(), expected((1, 2, 1.0), (1, 2, 1.0)))
