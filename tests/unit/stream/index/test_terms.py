"""What is said of a picture is found by its words, whoever wrote them, and no word is of another field."""

from hypothesis import given
from hypothesis import strategies as st

from stream.index.terms import author_terms, metadata_terms, source_terms, terms_of, title_terms, word_terms
from tests.strategies import plain_values

TEXT = st.text(max_size=80)


def holds(terms: list[str], groups: tuple[tuple[str, ...], ...]) -> bool:
    return all(not set(terms).isdisjoint(group) for group in groups)


@given(TEXT, TEXT)
def test_a_title_is_found_by_itself_and_not_as_an_author(title: str, other: str) -> None:
    stored = terms_of(title, "", "", {})
    assert holds(stored, title_terms(title))
    assert not author_terms(title) or not holds(stored, author_terms(title))
    assert holds(terms_of(f"{other} {title}", "", "", {}), title_terms(title))


@given(TEXT, TEXT)
def test_a_word_is_found_wherever_it_is_said(text: str, other: str) -> None:
    for stored in (terms_of(text, other, "", {}), terms_of("", text, "", {}), terms_of(other, "", "", {"n": text})):
        assert holds(stored, word_terms(text))


@given(st.text(min_size=1, max_size=9), plain_values)
def test_a_value_is_found_by_its_text(name: str, value: bool | int | float | str | None) -> None:
    stored = terms_of("", "", "", {name: value})
    text = value if isinstance(value, str) else {True: "true", False: "false", None: "null"}.get(value, repr(value))
    assert holds(stored, metadata_terms(name, str(text)))
    assert not holds(stored, metadata_terms(name + "x", str(text)))


@given(TEXT)
def test_nothing_that_may_be_a_url_stops_it(url: str) -> None:
    stored = terms_of("", "", f"https://{url}", {})
    assert holds(stored, source_terms(f"https://{url}"))


def test_punctuation_has_no_words() -> None:
    assert title_terms("!? -- ...") == ()


def test_a_picture_without_words_has_no_terms() -> None:
    assert terms_of("", "", "", {}) == []


def test_a_long_term_is_short_in_the_index() -> None:
    stored = terms_of("w" * 1_000, "", "https://example.com/" + "x" * 1_900, {"n": "v" * 7_000})
    assert max(map(len, stored)) < 100 and len(stored) == 5
