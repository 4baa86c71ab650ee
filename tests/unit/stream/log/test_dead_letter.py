"""Dead letters keep everything; the circuit breaker stops a worker before it fills a topic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import CircuitBreakerError, DecodeError, SchemaError, UnknownImageError
from stream.log.dead_letter import (
    MAX_TEXT_CHARS,
    ORIGIN,
    REASON,
    REPLAYED,
    TEXT,
    CircuitBreaker,
    dead_letter_headers,
    read_dead_letter,
    send_dead_letters,
)
from stream.log.reading.positions import position_of
from stream.log.record import Record
from tests.fakes import FakeWriter

headers = st.lists(st.tuples(st.text(max_size=10), st.binary(max_size=10)), max_size=4).map(tuple)


def record(value=b"v", key=b"k", headers=(), offset=7, partition=2, epoch=0):
    return Record("images", partition, offset, position_of(epoch, offset), 123, key, value, tuple(headers))


def as_read(dead, error):
    """The record of the dead-letter topic."""
    return record(dead.value, dead.key, dead_letter_headers(dead, error), offset=0, partition=0)


@given(st.none() | st.binary(), st.none() | st.binary(), headers, st.text())
def test_keeps_bytes_headers_reason_and_text(key, value, written, text):
    dead = record(value, key, written)
    letter = read_dead_letter("images", as_read(dead, SchemaError(text, reason="bad_json")))
    assert (letter.key, letter.value, tuple(letter.headers)) == (key, value, written)
    assert (letter.reason, letter.text) == ("bad_json", text[:MAX_TEXT_CHARS])


def test_the_id_says_where_the_record_came_from_and_stays():
    ids = {
        read_dead_letter("images", as_read(record(partition=p, offset=o, epoch=g), DecodeError("x"))).id
        for p in range(2) for o in range(3) for g in range(2) for _ in range(2)
    }  # fmt: skip
    assert len(ids) == 12


def test_a_reason_every_poison_error_has():
    assert dict(dead_letter_headers(record(), UnknownImageError("x")))[REASON] == b"unknown_image"
    assert dict(dead_letter_headers(record(), DecodeError("x")))[REASON] == b"not_an_image"


def test_texts_are_cut_and_can_always_be_written():
    written = dict(dead_letter_headers(record(), SchemaError("\ud800" + "x" * 5_000)))
    assert len(written[TEXT]) == MAX_TEXT_CHARS


def test_letters_that_do_not_fit_go_without_their_value_and_say_so():
    small, large = record(b"v" * 1_000), record(b"v" * 200_000, headers=[("ce_tags", b"t" * 50_000), ("ce_id", b"1")])
    writer = FakeWriter()
    writer.limit = 100_000
    send_dead_letters(writer, [(small, SchemaError("x")), (large, SchemaError("x"))])
    read = [read_dead_letter("images", record(sent.value, sent.key, sent.headers)) for sent in writer.to("images.dlq")]
    *_, first, second = read
    assert (first.value, first.cut_bytes) == (small.value, 0)
    assert (second.value, second.cut_bytes, second.headers) == (None, 200_000, [("ce_id", b"1")])
    assert second.id == read_dead_letter("images", as_read(large, SchemaError("x"))).id


def test_a_replay_mark_is_no_dead_letter():
    assert read_dead_letter("images", record(None, headers=[(REPLAYED, b"0123")])) is None
    assert read_dead_letter("images", record(headers=[("x", b"y")])) is None


def test_a_producer_cannot_hide_or_forge_dead_letters_with_our_headers():
    hostile = record(headers=[(REPLAYED, b"another"), (REASON, b"fine"), (ORIGIN, b"0/0/0"), ("mine", b"1")])
    letter = read_dead_letter("images", as_read(hostile, SchemaError("x", reason="bad_json")))
    assert letter is not None
    assert (letter.reason, letter.headers) == ("bad_json", [("mine", b"1")])
    assert letter.origin == f"2/{position_of(0, 7)}/7"


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 20), st.sampled_from([0.1, 0.5, 1.0]))
def test_the_circuit_opens_exactly_when_the_last_full_window_is_too_dead(outcomes, window, share):
    breaker, opened_at = CircuitBreaker(share, window), None
    for position, dead in enumerate(outcomes):
        try:
            breaker.count(dead)
        except CircuitBreakerError:
            opened_at = position
            break
    windows = {end: outcomes[end - window + 1 : end + 1] for end in range(window - 1, len(outcomes))}
    expected = next((end for end, last in windows.items() if sum(last) > share * window), None)
    assert opened_at == expected


def test_the_circuit_breaker_says_what_to_do():
    breaker = CircuitBreaker(0.5, 10)
    with pytest.raises(CircuitBreakerError, match=r"10 of the last 10 records.*mekiki dlq list"):
        for _ in range(10):
            breaker.count(True)


def test_a_breaker_that_is_not_armed_lets_what_stopped_it_pass_and_no_more():
    breaker = CircuitBreaker(0.5, 4, armed=False)
    for dead in [True] * 9 + [False] * 4:
        breaker.count(dead)
    with pytest.raises(CircuitBreakerError):
        for _ in range(4):
            breaker.count(True)
