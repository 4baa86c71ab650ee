"""A line of words as somebody types it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.words.parse import Part, parse


def said(line):
    return [(one.text, one.kind, one.without, one.quoted) for one in parse(line)]


def word(text, *, without=False, quoted=False):
    return text, "word", without, quoted


@pytest.mark.parametrize(("line", "parts"), [
    ("red cat", [word("red"), word("cat")]), ("赤い　猫", [word("赤い"), word("猫")]),
    ('"red panda" cat', [word("red panda", quoted=True), word("cat")]),
    ("-dog －犬", [word("dog", without=True), word("犬", without=True)]),
    ('-"red panda"', [word("red panda", without=True, quoted=True)]),
    ('tag:cat TAG:"red panda" -tag:x', [
        ("cat", "tag", False, False), ("red panda", "tag", False, True), ("x", "tag", True, False),
    ]),
    ('like:cats/1.jpg -like:"a b.jpg"', [("cats/1.jpg", "like", False, False), ("a b.jpg", "like", True, True)]),
    ("fate:zero 12:30 a-b", [word("fate:zero"), word("12:30"), word("a-b")]),
    ('cat "never closed', [word("cat"), word("never closed", quoted=True)]),
    ('“smart quotes”', [word("smart quotes", quoted=True)]),
    ("cats - dogs", [word("cats"), word("dogs")]), ("tag:", [word("tag:")]), ("tag:-", [("-", "tag", False, False)]),
    *((line, []) for line in ("", " ", "-", "- -", '"', '""', '" "', "-\"\"", "－", "\t\n\u3000", 'like:"')),
])  # fmt: skip
def test_every_line_has_a_reading(line, parts):
    assert said(line) == parts


@given(st.text(max_size=200))
def test_no_line_stops_it_and_each_part_is_in_it(line):
    parts = parse(line)
    assert all(one.text in line and one.text.strip() for one in parts)
    assert [one.start for one in parts] == sorted(one.start for one in parts)


def test_a_part_says_where_it_begins():
    assert [one.start for one in parse('a  -"b c" tag:d')] == [0, 3, 10]
    assert parse("cat") == [Part("cat")]
