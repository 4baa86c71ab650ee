"""Search after operations on tags, over an index that holds the tags as people wrote them."""

import pytest

from models.errors import NotFoundError
from models.quantise import quantise
from models.tagging.examples import Example, TagOperation
from models.tagging.tagger import Tagger
from search import views
from search.answer import Options
from search.query import Searcher
from search.served import ServedModels, ServedTagger
from tests.fakes import D, FakeDecoder, FakeEncoder, local_index, unit
from tests.unit.search.images import COUNT, ids, record


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
    served = ServedModels(tagger=ServedTagger(tagger.predictor()))
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
