"""What lines mean, and how they may go on."""

import pytest

from models.quantise import quantise
from models.tagging.examples import Example
from models.tagging.tagger import Tagger
from search.words.suggest import suggest
from search.words.understand import understand
from search.words.vocabulary import Vocabulary
from stream.index.terms import word_terms
from tests.fakes import D, unit

TAGS = ("cat", "red", "red panda", "panda", "puppy", "ねこ", "tag:odd", "big cat")
SAID = {"fuchs", "panda", "狐"}  # words of titles


@pytest.fixture(scope="module")
def catalogue():
    tagger = Tagger(dimension=D)
    tagger.learn_many([Example(tag, quantise(unit(number)[None])[0], (tag,)) for number, tag in enumerate(TAGS)], 0)
    return tagger.predictor().catalogue


@pytest.fixture(scope="module")
def vocabulary(catalogue):
    return Vocabulary(catalogue)


def has(terms):
    return all(any(term.split(" ", 1)[1] in SAID for term in group) for group in terms)


def meanings(vocabulary, line):
    return [(one.text, one.means, one.tag, one.how) for one in understand(line, vocabulary, has).meanings]


@pytest.mark.parametrize(("line", "expected"), [
    ("red cat", [("red", "tag", "red", "name"), ("cat", "tag", "cat", "name")]),
    ("red panda cat", [("red panda", "tag", "red panda", "name"), ("cat", "tag", "cat", "name")]),
    ("cat neko", [("cat", "tag", "cat", "name"), ("neko", "tag", "ねこ", "sound")]),
    ('red "panda"', [("red", "tag", "red", "name"), ("panda", "tag", "panda", "name")]),
    ("fuchs cat", [("fuchs", "text", "", None), ("cat", "tag", "cat", "name")]),
    ("tag:fuchs", [("fuchs", "nothing", "", None)]), ("狐", [("狐", "text", "", None)]),
    ("pup", [("pup", "tag", "puppy", "beginning")]), ('"pup"', [("pup", "nothing", "", None)]),
    ("p", [("p", "nothing", "", None)]), ("ね", [("ね", "tag", "ねこ", "beginning")]),
    ("tag:pup", [("pup", "nothing", "", None)]),
    ("like:a/1 cat", [("a/1", "image", "", None), ("cat", "tag", "cat", "name")]),
    ("a\0b", [("a\0b", "nothing", "", None)]), ('tag:"tag:odd"', [("tag:odd", "tag", "tag:odd", "name")]),
    ("!?", [("!?", "nothing", "", None)]), ("x" * 900, [("x" * 900, "nothing", "", None)]),
])  # fmt: skip
def test_words_are_tags_then_words_of_titles_then_beginnings(vocabulary, line, expected):
    assert meanings(vocabulary, line) == expected


def test_what_is_unwanted_is_meant_to_the_letter(vocabulary):
    found = understand("cat -red -pup -fuchs -like:a like:b fuchs", vocabulary, has)
    assert (found.tags(), found.tags(without=True)) == (["cat"], ["red"])
    assert (found.examples(), found.examples(without=True)) == (["b"], ["a"])
    assert found.terms() == found.terms(without=True) == (word_terms("fuchs"),)
    assert [(one.text, one.without) for one in found.meanings if one.means == "nothing"] == [("pup", True)]
    assert meanings(vocabulary, "-red panda")[0] == ("red", "tag", "red", "name"), "the sign is of one word"


def test_a_word_that_means_nothing_comes_with_names_that_are_near(vocabulary):
    (found,) = understand("pandaa", vocabulary, has).meanings
    assert (found.means, found.nearest) == ("nothing", ("panda",))


@pytest.mark.parametrize(("line", "lines"), [
    ("pa", ["panda", '"red panda"']), ("red p", ['"red panda"']), ("cat red p", ['cat "red panda"']),
    ("big red pan", ['big "red panda"']), ("-pup", ["-puppy"]), ("cat tag:pup", ["cat tag:puppy"]), ("nek", ["ねこ"]),
    ('"red p', ['"red panda"']), ("cat zebr", []), ("like:a", []), ("", []), ("-", []),
    ("  ca", ["  cat", '  "big cat"']),
    ("tag:tag", ['tag:"tag:odd"']), ("x" * 900, []), ("\0", []),
])  # fmt: skip
def test_the_end_of_a_line_is_completed(vocabulary, line, lines):
    found = suggest(line, vocabulary, 10)
    assert [one.line for one in found] == lines
    for one in found:
        assert understand(one.line, vocabulary, has).meanings[-1].tag == one.name.tag
    assert suggest(line, vocabulary, 1) == found[:1]
