"""Names of tags as words find them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tagging.examples import Example, TagOperation
from models.tagging.tagger import Tagger
from search.words.keys import Keys
from search.words.vocabulary import Name, Vocabulary
from tests.fakes import D

USED = {
    "cat": 5,
    "cattle": 3,
    "caterpillar": 1,
    "red panda": 4,
    "panda": 2,
    "ねこ": 3,
    "ネコ": 1,
    "こーひー": 2,
    "pup": 1,
}


@pytest.fixture(scope="module")
def catalogue():
    """Each tag on so many pictures; a moggy is a cat, and so is what was a feline."""
    tagger = Tagger(dimension=D)
    rng, examples = np.random.default_rng(0), []
    for tag, count in {**USED, "feline": 1}.items():
        for number in range(count):
            vector = rng.integers(-9_000, 9_000, D).astype(np.int16)
            examples.append(Example(f"{tag} {number}", vector, (tag,)))
    tagger.learn_many(examples, 0)
    operations = [TagOperation("1", "alias", ("moggy",), "cat"), TagOperation("2", "merge", ("feline", "cat"), "cat")]
    tagger.learn_many(operations, tagger.next_position)
    return tagger.predictor().catalogue


@pytest.fixture(scope="module")
def vocabulary(catalogue):
    return Vocabulary(catalogue)


@pytest.mark.parametrize(("word", "tag", "how"), [
    ("cat", "cat", "name"), ("CAT", "cat", "name"), ("moggy", "cat", "alias"), ("Feline", "cat", "alias"),
    ("red_panda", "red panda", "name"), ("ネコ", "ネコ", "name"), ("コーヒー", "こーひー", "spelling"),
    ("neko", "ねこ", "sound"), ("kohi", "こーひー", "sound"), ("ｺｰﾋｰ", "こーひー", "spelling"),
])  # fmt: skip
def test_a_word_is_a_name_in_any_spelling(vocabulary, word, tag, how):
    found, by = vocabulary.find(word)
    assert (found.tag, by) == (tag, how)


@pytest.mark.parametrize("word", ["ca", "zebra", "", "x" * 10_000, "a\0b", "\ud800", "\u200b", "猫"])
def test_what_is_no_name_finds_nothing(vocabulary, word):
    assert vocabulary.find(word) is None


@pytest.mark.parametrize(("text", "tags"), [
    ("ca", ["cat", "cattle", "caterpillar"]), ("cat", ["cat", "cattle", "caterpillar"]),
    ("pan", ["panda", "red panda"]), ("p", ["panda", "pup", "red panda"]), ("red p", ["red panda"]),
    ("ne", ["ねこ", "ネコ"]), ("コー", ["こーひー"]),
    ("mog", ["cat"]), ("zebra", []), ("", []), ("x" * 10_000, []), ("\0", []), ("\1", []),
])  # fmt: skip
def test_names_that_begin_so_come_first_and_the_most_used_of_them_before_all(vocabulary, text, tags):
    assert [one.tag for one in vocabulary.complete(text, 10)] == tags
    assert [one.tag for one in vocabulary.complete(text, 1)] == tags[:1]


def test_a_name_that_is_whole_comes_first_and_each_tag_once(vocabulary):
    assert vocabulary.complete("pup", 5) == [Name("pup", "pup", 1)]
    assert vocabulary.complete("moggy", 5) == [Name("moggy", "cat", 6)]
    assert vocabulary.complete("panda", 1) == [Name("panda", "panda", 2)]


@pytest.mark.parametrize(("word", "names"), [
    ("catle", ["cattle", "cat"]), ("cta", ["cat"]), ("red pnada", ["red panda"]), ("mogy", ["moggy"]),
    ("zebra", []), ("", []),
])  # fmt: skip
def test_names_that_are_nearly_so(vocabulary, word, names):
    assert vocabulary.nearest(word) == names


def test_a_vocabulary_goes_on_from_the_one_before(catalogue, vocabulary):
    learned = Tagger(dimension=D)
    assert vocabulary.is_of(catalogue) and not vocabulary.is_of(learned.predictor().catalogue)
    vector = np.full(D, 4_000, np.int16)
    learned.learn_many([Example("a", vector, ("zebra", "cat"))], 0)
    later = Vocabulary(learned.predictor().catalogue, vocabulary)
    assert later.find("zebra")[0].images == 1 and later.find("cattle") is None
    assert later.nearest("caterpilla") == [] and later.nearest("zebr") == ["zebra"]


NAMES = st.sets(
    st.sampled_from([f"{a}{b}" for a in ("cat", "ねこ", "red cat", "赤", "x y z") for b in ("", " b", "ん", "s")])
)


@given(NAMES, NAMES)
def test_keys_that_go_on_are_those_that_are_made_anew(before, names):
    after, anew = Keys(names, Keys(before)), Keys(names)
    for key in ("", "c", "cat", "ネ", "\0", "\0b", "\1", "\1n", "x y"):
        assert after.beginning(key) == anew.beginning(key) and after.exactly(key) == anew.exactly(key)
    assert after.near("cats") == anew.near("cats")
