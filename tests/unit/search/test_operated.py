"""Search after operations on tags, over an index that holds the tags as people wrote them."""

import pytest

from models.errors import NotFoundError
from models.quantise import quantise
from models.tagging.examples import Example, TagOperation
from models.tagging.tagger import Tagger
from search import views
from search.answer import Options
from search.query import Searcher
from search.served import ServedModels, ServedRanker, ServedTagger
from stream.index.payload import IndexRecord
from tests.fakes import D, FakeDecoder, FakeEncoder, local_index, unit
from tests.unit.search.images import COUNT, ids, record


class FirstNumberRanker:
    """A taste for vectors whose first number is large."""

    version, pairs_seen = 7, 100

    def score(self, vectors):
        return vectors[:, 0]


@pytest.fixture(scope="module")
def operated():
    """A searcher whose learner has renamed, merged, split and forgotten tags that the index holds as written."""
    tags = {n: ("cat",) if n % 3 == 0 else ("red panda",) for n in range(COUNT)} | {100: ("kitty", "junk")}
    tags[101] = tags[100]
    index = local_index()
    index.write([record(n, tags=list(names)) for n, names in tags.items()], [])
    tagger = Tagger(dimension=D)
    log = [Example(f"i{n}", quantise(unit(n)[None])[0], names) for n, names in tags.items()]
    log += [
        TagOperation("1", "rename", ("red panda",), "firefox"),
        TagOperation("2", "merge", ("kitty",), "cat"),
        TagOperation("3", "split", ("cat",), "lynx", images=("i0", "i100")),
        TagOperation("4", "forget", ("junk",)),
        TagOperation("5", "imply", ("cat",), "feline"),
        TagOperation("6", "imply", ("lynx",), "feline"),
        TagOperation("7", "imply", ("feline",), "animal"),
    ]
    tagger.learn_many(log, 0)
    served = ServedModels(tagger=ServedTagger(tagger.predictor()), ranker=ServedRanker(FirstNumberRanker()))
    yield Searcher(index, FakeEncoder(), FakeDecoder(), served)
    index.close()


@pytest.mark.parametrize(("tag", "wanted"), [
    ("firefox", {n for n in range(COUNT) if n % 3}),
    ("red panda", {n for n in range(COUNT) if n % 3}),
    ("cat", {n for n in range(1, COUNT) if n % 3 == 0} | {101}),
    ("Kitty", {n for n in range(1, COUNT) if n % 3 == 0} | {101}),
    ("lynx", {0, 100}),
    ("feline", {n for n in range(COUNT) if n % 3 == 0} | {100, 101}),
    ("animal", {n for n in range(COUNT) if n % 3 == 0} | {100, 101}),
    ("junk", set()),
    ("never used", set()),
])  # fmt: skip
def test_a_filter_finds_images_under_whatever_name_they_were_tagged(operated, tag, wanted):
    answer = operated.by_vector(unit(4), Options(limit=COUNT + 2, collapse="none", tags=(tag,)))
    assert set(ids(answer)) == {f"i{n}" for n in wanted}


def test_two_filters_are_both_kept_after_operations(operated):
    def found(*tags):
        return set(ids(operated.by_vector(unit(4), Options(limit=COUNT, collapse="none", tags=tags))))

    assert found("cat", "kitty") == found("cat")
    assert found("cat", "lynx") == found("cat", "junk") == set()


def test_tags_are_shown_as_they_are_called_now(operated):
    names = operated.names()
    assert names.shown("i1", ["red panda"]) == ["firefox"]
    assert names.shown("i100", ["kitty", "junk"]) == ["lynx"]
    assert names.shown("i101", ["kitty", "junk", "cat"]) == ["cat"]


def test_what_follows_from_tags_is_said_beside_them(operated):
    found = operated.by_vector(unit(100), Options(limit=COUNT + 2, collapse="none"))
    shown = {result.image_id: result for result in views.page(
        found, operated.names(), impression_id=None, encoder_version="e", took_ms=0.0
    ).results}  # fmt: skip
    assert (shown["i100"].tags, shown["i100"].implied_tags) == (["lynx"], ["feline", "animal"])
    assert (shown["i3"].tags, shown["i3"].implied_tags) == (["cat"], ["feline", "animal"])
    assert (shown["i1"].tags, shown["i1"].implied_tags) == (["firefox"], [])
    tags = operated.tagger().catalogue
    assert [(tags.tag(name).count, tags.tag(name).tagged) for name in ("animal", "cat")] == [(12, 0), (10, 10)]


def test_search_by_a_merged_or_renamed_tag_is_search_by_what_it_became(operated):
    for old, new in (("kitty", "cat"), ("red panda", "firefox")):
        one, other = operated.by_tag(old, Options()), operated.by_tag(new, Options())
        assert [(f.hit.image_id, f.hit.score) for f in one.results] == [
            (f.hit.image_id, f.hit.score) for f in other.results
        ]
    with pytest.raises(NotFoundError):
        operated.by_tag("junk", Options())


@pytest.mark.parametrize("rank", ["similarity", "taste"])
@pytest.mark.parametrize(("tag", "carriers"), [
    ("cat", {n for n in range(1, COUNT) if n % 3 == 0} | {101}),
    ("animal", {n for n in range(COUNT) if n % 3 == 0} | {100, 101}),
    ("firefox", {n for n in range(COUNT) if n % 3}),
])  # fmt: skip
def test_no_picture_that_carries_a_tag_comes_below_one_that_does_not(operated, tag, carriers, rank):
    everything = ids(operated.by_tag(tag, Options(limit=COUNT + 2, collapse="none", rank=rank)))
    assert set(everything[: len(carriers)]) == {f"i{n}" for n in carriers}
    assert set(everything) == {f"i{n}" for n in (*range(COUNT), 100, 101)}
    if rank == "similarity":
        for limit in (1, 3, len(carriers), len(carriers) + 4):
            assert ids(operated.by_tag(tag, Options(limit=limit, collapse="none"))) == everything[:limit]


def test_within_those_that_carry_it_and_the_others_the_most_probable_come_first(operated):
    results = operated.by_tag("cat", Options(limit=COUNT + 2, collapse="none")).results
    for carry in (True, False):
        scores = [found.hit.score for found in results if found.carries is carry]
        assert len(scores) > 9 and scores == sorted(scores, reverse=True)


def test_by_probability_alone_a_stranger_may_come_first(operated):
    by_probability = operated.by_tag("cat", Options(limit=COUNT + 2, collapse="none", order="probability"))
    scores = [found.hit.score for found in by_probability.results]
    assert scores == sorted(scores, reverse=True)
    carried = operated.by_tag("cat", Options(limit=COUNT + 2, collapse="none"))
    assert ids(by_probability) != ids(carried) and sorted(ids(by_probability)) == sorted(ids(carried))


def test_carriers_far_from_a_tags_weights_are_candidates_too():
    """The index would not name them among so many nearer strangers."""
    index, tagger = local_index(), Tagger(dimension=D)
    index.write([record(n, tags=("odd",) if n in (0, 400) else ()) for n in range(500)], [])
    tagger.learn_many([Example(f"i{n}", quantise(unit(n)[None])[0], ("odd",), complete=True) for n in (0, 1, 2)], 0)
    searcher = Searcher(index, FakeEncoder(), FakeDecoder(), ServedModels(tagger=ServedTagger(tagger.predictor())))
    assert "i400" not in ids(searcher.by_tag("odd", Options(limit=20, collapse="none", order="probability")))
    found = ids(searcher.by_tag("odd", Options(limit=20, collapse="none")))
    assert set(found[:2]) == {"i0", "i400"} and len(found) == 20
    index.close()


def test_strangers_of_a_tag_that_nobody_put_on_are_those_of_the_tags_that_imply_it(operated):
    """It has no weights of its own; the nearest of others are asked for by theirs."""
    tags = operated.tagger().catalogue
    expected = tags.weights("cat") + tags.weights("lynx")
    assert tags.weights("animal") == pytest.approx(expected, abs=1e-6)
    assert abs(tags.weights("animal")).max() > 0


def test_a_copy_without_the_tag_is_folded_into_the_picture_that_carries_it(operated):
    index, tagger = local_index(), Tagger(dimension=D)
    index.write([record(0, tags=("cat",)), record(1), IndexRecord("copy", 1, record(0).payload, unit(0))], [])
    tagger.learn_many([Example("i0", quantise(unit(0)[None])[0], ("cat",))], 0)
    searcher = Searcher(index, FakeEncoder(), FakeDecoder(), ServedModels(tagger=ServedTagger(tagger.predictor())))
    first, second = searcher.by_tag("cat", Options()).results
    assert (first.hit.image_id, first.duplicates, second.hit.image_id) == ("i0", ["copy"], "i1")
    index.close()
