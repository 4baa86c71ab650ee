"""A cursor stands for what was shown, whatever ids these have; any text can be read as one."""

from hypothesis import given
from hypothesis import strategies as st

from search.pages.cursor import MOST, MOST_CHARS, mark, read_cursor, write_cursor

IDS = st.sets(st.text(min_size=1, max_size=20), max_size=50)


@given(IDS, IDS)
def test_what_was_shown_comes_back(before, results):
    text = write_cursor(frozenset(map(mark, before)), results)
    assert read_cursor(text) == frozenset(map(mark, before | results))


@given(st.text("abcXYZ019-_", max_size=60))
def test_any_text_is_read(text):
    assert all(1 <= len(one) <= 5 for one in read_cursor(text))


def test_it_ends_where_it_would_be_too_long():
    most = [f"i{number}" for number in range(MOST)]
    assert len(write_cursor(frozenset(), most)) <= MOST_CHARS
    assert write_cursor(frozenset(map(mark, most)), ["one more"]) is None
