"""How an answer is made: candidates, duplicates, order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DecodeError, InfrastructureError, NotFoundError, PolicyError
from models.quantise import quantise
from models.tagging.examples import Example, TagOperation
from models.tagging.tagger import Tagger
from search.query import NEAR_BITS, Options, Searcher, collapse
from search.served import ServedModels, ServedRanker, ServedTagger
from stream.index.contract import Hit
from stream.index.payload import IndexRecord
from tests.fakes import D, FakeDecoder, FakeEncoder, local_index, payload, unit

COUNT = 30


class FirstNumberRanker:
    """A taste for vectors whose first number is large."""

    version, pairs_seen = 7, 100

    def score(self, vectors):
        return vectors[:, 0]


def record(number, **known):
    phash = f"{0xFFFF_0000_FFFF_0000 ^ (number * 0x1234_5678_9ABC):016x}"
    return IndexRecord(f"i{number}", 1, 0, payload(sha256=f"{number:064x}", phash=phash, **known), unit(number))


@pytest.fixture(scope="module")
def index():
    index = local_index()
    tags = [["cat"] if n % 3 == 0 else ["red panda"] for n in range(COUNT)]
    index.write([record(n, tags=tuple(tags[n])) for n in range(COUNT)], [])
    index.write([IndexRecord("gone", 2, 0)], [])
    yield index
    index.close()


@pytest.fixture(scope="module")
def predictor():
    tagger = Tagger(dimension=D)
    vectors = quantise(np.stack([unit(n) for n in range(COUNT)]))
    tagger.learn_many([Example(f"i{n}", vectors[n], ("cat",) if n % 3 == 0 else ("dog",)) for n in range(COUNT)], 0)
    return tagger.predictor()


@pytest.fixture
def served(predictor):
    return ServedModels(tagger=ServedTagger(predictor), ranker=ServedRanker(FirstNumberRanker()))


@pytest.fixture
def searcher(index, served):
    return Searcher(index, FakeEncoder(), FakeDecoder(), served)


def ids(answer):
    return [found.hit.image_id for found in answer.results]


def nearest(number, among):
    return sorted(among, key=lambda n: -float(unit(n) @ unit(number)))


def test_the_nearest_come_first_as_many_as_wanted(searcher):
    answer = searcher.by_vector(unit(4), Options(limit=5))
    assert ids(answer) == [f"i{n}" for n in nearest(4, range(COUNT))[:5]]
    assert (answer.ranker_version, answer.tagger_version) == (None, None)


def test_an_image_is_not_like_itself_when_left_out(searcher):
    assert ids(searcher.by_vector(unit(4), Options(limit=3), without="i4")) == [
        f"i{n}" for n in nearest(4, set(range(COUNT)) - {4})[:3]
    ]


@pytest.mark.parametrize("spelling", ["red panda", "Red_Panda", "  RED  PANDA "])
def test_only_images_with_all_tags_however_spelt(searcher, spelling):
    answer = searcher.by_vector(unit(4), Options(limit=COUNT, tags=(spelling,)))
    assert set(ids(answer)) == {f"i{n}" for n in range(COUNT) if n % 3}
    assert ids(searcher.by_vector(unit(4), Options(tags=(spelling, "cat")))) == []


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


def test_search_by_a_merged_or_renamed_tag_is_search_by_what_it_became(operated):
    for old, new in (("kitty", "cat"), ("red panda", "firefox")):
        one, other = operated.by_tag(old, Options()), operated.by_tag(new, Options())
        assert [(f.hit.image_id, f.hit.score) for f in one.results] == [
            (f.hit.image_id, f.hit.score) for f in other.results
        ]
    with pytest.raises(NotFoundError):
        operated.by_tag("junk", Options())


def test_a_filter_that_is_no_tag_is_refused(searcher):
    with pytest.raises(PolicyError):
        searcher.by_vector(unit(4), Options(tags=("x" * 1_000,)))


def test_taste_orders_the_candidates_and_says_which_version_did(searcher):
    answer = searcher.by_vector(unit(4), Options(limit=COUNT, rank="taste"))
    assert answer.ranker_version == 7
    scores = [found.rank_score for found in answer.results]
    assert scores == sorted(scores, reverse=True)
    assert ids(answer)[0] == max((f"i{n}" for n in range(COUNT)), key=lambda i: unit(int(i[1:]))[0])


def test_taste_looks_beyond_the_page(searcher):
    best = max(range(COUNT), key=lambda n: unit(n)[0])
    assert ids(searcher.by_vector(unit(4), Options(limit=1, rank="taste"))) == [f"i{best}"]


def test_by_tag_the_score_is_the_probability_and_the_version_is_given(searcher, predictor):
    answer = searcher.by_tag("Cat", Options(limit=10))
    assert answer.tagger_version == predictor.snapshot.version
    scores = [found.hit.score for found in answer.results]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    first = answer.results[0].hit
    expected = predictor.score("cat", unit(int(first.image_id[1:]))[None])[0]
    assert first.score == pytest.approx(float(expected), abs=1e-6)


def test_a_tag_nobody_used_is_not_found(searcher):
    with pytest.raises(NotFoundError):
        searcher.by_tag("zebra", Options())


@pytest.mark.parametrize("image_id", ["nobody", "gone"])
def test_images_that_are_not_there_are_not_found(searcher, image_id):
    with pytest.raises(NotFoundError, match=image_id):
        searcher.vector_of(image_id)


def test_embeds_on_the_grid_of_the_index(searcher):
    vector = searcher.embed(b"pic1")
    assert np.array_equal(quantise(vector[None]), quantise(searcher.embed(b"pic1")[None]))
    assert not np.array_equal(vector, searcher.embed(b"pic1", (0.0, 0.0, 0.5, 0.5)))
    with pytest.raises(DecodeError):
        searcher.embed(b"not a picture")


def test_ranks_ids_best_first_without_those_unknown_or_twice(searcher):
    version, ranked = searcher.rank(["i3", "nobody", "i1", "i3", "gone"])
    assert version == 7
    assert [image_id for image_id, _ in ranked] == sorted(["i1", "i3"], key=lambda i: -unit(int(i[1:]))[0])
    assert searcher.rank(["nobody"]) == (7, [])


def test_predicts_the_best_tags_first(searcher):
    _, tags = searcher.tags_of(unit(0), 2, 1)
    assert {tag for tag, _ in tags} == {"cat", "dog"}
    assert tags[0][1] >= tags[1][1]
    assert searcher.tags_of(unit(0), 5, min_images=11)[1] == [
        pair for pair in searcher.tags_of(unit(0), 5, 1)[1] if pair[0] == "dog"
    ]


def test_before_a_model_is_published_the_answer_is_later(index):
    searcher = Searcher(index, FakeEncoder(), FakeDecoder(), ServedModels())
    for ask in (searcher.tagger, searcher.ranker, lambda: searcher.by_tag("cat", Options())):
        with pytest.raises(InfrastructureError, match="nothing published yet"):
            ask()
    assert len(searcher.by_vector(unit(1), Options(limit=3)).results) == 3


# ---- duplicates ---------------------------------------------------------------------------------------------------


def hit(number, sha256, phash):
    return Hit(f"h{number}", 1 - number / 100, payload(sha256=sha256, phash=f"{phash:016x}"))


PHASHES = st.sampled_from([0, 0b111, (1 << NEAR_BITS) - 1, (1 << NEAR_BITS + 1) - 1, 2**63])
HITS = st.lists(
    st.tuples(st.sampled_from("abcd"), PHASHES),
    max_size=10,
).map(lambda rows: [hit(n, sha256, phash) for n, (sha256, phash) in enumerate(rows)])  # fmt: skip


@given(HITS, st.sampled_from(["exact", "near", "none"]))
def test_collapsing_keeps_order_and_loses_nobody(hits, mode):
    found = collapse(hits, mode)
    kept = [f.hit.image_id for f in found]
    assert kept == [h.image_id for h in hits if h.image_id in kept]
    assert sorted(kept + [d for f in found for d in f.duplicates]) == sorted(h.image_id for h in hits)


@given(HITS)
def test_the_same_bytes_are_shown_once_under_the_best(hits):
    found = collapse(hits, "exact")
    hashes = [f.hit.payload.sha256 for f in found]
    assert len(hashes) == len(set(hashes))
    for item in found:
        same = [h.image_id for h in hits if h.payload.sha256 == item.hit.payload.sha256]
        assert [item.hit.image_id, *item.duplicates] == same


@given(HITS)
def test_near_ones_are_marked_and_folded_only_on_request(hits):
    marked = collapse(hits, "exact")
    for position, item in enumerate(marked):
        earlier = {f.hit.image_id for f in marked[:position]}
        assert item.near_duplicate_of is None or item.near_duplicate_of in earlier
    folded = collapse(hits, "near")
    for position, item in enumerate(folded):
        for other in folded[:position]:
            assert (int(item.hit.payload.phash, 16) ^ int(other.hit.payload.phash, 16)).bit_count() > NEAR_BITS


def test_more_copies_than_the_page_has_room_for_do_not_empty_it():
    index = local_index()
    copies = [IndexRecord(f"c{n}", 1, 0, record(0).payload, unit(0)) for n in range(15)]
    index.write([*copies, *(record(n) for n in range(1, 10))], [])
    answer = Searcher(index, FakeEncoder(), FakeDecoder(), ServedModels()).by_vector(unit(0), Options(limit=5))
    assert len(answer.results) == 5
    index.close()
