"""Words that are nearly others, beside a table that is made letter by letter."""

from hypothesis import given
from hypothesis import strategies as st

from search.words.nearest import Spelt

WORDS = st.text("abcdeネコ", min_size=1, max_size=9)


def distance(one: str, other: str) -> int:
    """Optimal string alignment, as it is defined."""
    table = {(-1, column): column + 1 for column in range(-1, len(other))}
    table |= {(row, -1): row + 1 for row in range(-1, len(one))}
    for row, letter in enumerate(one):
        for column, theirs in enumerate(other):
            ways = [
                table[row - 1, column] + 1, table[row, column - 1] + 1,
                table[row - 1, column - 1] + (letter != theirs),
            ]  # fmt: skip
            if row and column and letter == other[column - 1] and one[row - 1] == theirs:
                ways.append(table[row - 2, column - 2] + 1)
            table[row, column] = min(ways)
    return table[len(one) - 1, len(other) - 1]


@given(st.lists(WORDS, max_size=20), WORDS)
def test_all_that_are_near_are_found_with_their_distance(words, word):
    places, apart = Spelt(words).near(word)
    most = 0 if len(word) < 2 else 1 if len(word) < 5 else 2
    every = [(place, distance(word, other)) for place, other in enumerate(words)]
    assert list(zip(places.tolist(), apart.tolist(), strict=True)) == [one for one in every if one[1] <= most]


def test_what_people_mistype():
    words = Spelt(["puppy", "panda", "cat"])
    for word, place in (("pupyp", 0), ("pnada", 1), ("pandda", 1), ("act", 2), ("cta", 2)):
        assert words.near(word)[0].tolist() == [place], word


def test_a_long_word_and_odd_letters_are_near_nothing():
    words = Spelt(["cat", "\U0001f431"])
    assert words.near("x" * 10_000)[0].size == 0 and words.near("\ud800\0")[0].size == 0 and words.near("")[0].size == 0
