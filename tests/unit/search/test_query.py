"""How an answer is made: candidates, duplicates, order."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import DecodeError, InfrastructureError, NotFoundError, PolicyError
from models.quantise import dequantise, quantise
from models.tagging.examples import Example
from models.tagging.serving.predictor import Predictor
from models.tagging.tagger import Tagger
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
def index():
    index = local_index()
    tags = [["cat"] if n % 3 == 0 else ["red panda"] for n in range(COUNT)]
    index.write([record(n, tags=tuple(tags[n])) for n in range(COUNT)], [])
    index.write([IndexRecord("gone", 2, deleted=True)], [])
    yield index
    index.close()


@pytest.fixture(scope="module")
def predictor():
    tagger = Tagger(dimension=D)
    vectors = quantise(np.stack([unit(n) for n in range(COUNT)]))
    tagger.learn_many([Example(f"i{n}", vectors[n], ("cat",) if n % 3 == 0 else ("dog",)) for n in range(COUNT)], 0)
    return with_thresholds(tagger.predictor())


def with_thresholds(predictor):
    """The same version after an evaluation: each tag's threshold is its median probability."""
    medians = np.median(predictor.probabilities(np.stack([unit(n) for n in range(COUNT)])), axis=0)
    before = predictor.snapshot
    columns = replace(before.columns, thresholds=medians.astype(np.float32))
    return Predictor(replace(before, columns=columns, quality=replace(before.quality, images=COUNT)))


@pytest.fixture
def served(predictor):
    return ServedModels(tagger=ServedTagger(predictor), ranker=ServedRanker(FirstNumberRanker()))


@pytest.fixture
def searcher(index, served):
    return Searcher(index, FakeEncoder(), FakeDecoder(), served)


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


def test_by_tag_the_most_probable_come_first_with_their_probability_and_the_version(searcher, predictor):
    answer = searcher.by_tag("Cat", Options(limit=10))
    assert answer.tagger_version == predictor.snapshot.version
    probabilities = predictor.score("cat", np.stack([unit(n) for n in range(COUNT)]))
    best = sorted(range(COUNT), key=lambda n: -probabilities[n])[:10]
    assert ids(answer) == [f"i{n}" for n in best]
    assert [found.hit.score for found in answer.results] == pytest.approx(list(probabilities[best]), abs=1e-6)


def test_a_tag_nobody_used_is_not_found(searcher):
    with pytest.raises(NotFoundError):
        searcher.by_tag("zebra", Options())


@pytest.mark.parametrize("image_id", ["nobody", "gone"])
def test_images_that_are_not_there_are_not_found(searcher, image_id):
    with pytest.raises(NotFoundError, match=image_id):
        searcher.vector_of(image_id)


def test_embeds_on_the_grid_of_the_index(searcher, monkeypatch):
    raw = np.random.default_rng(0).standard_normal((1, D)).astype(np.float32)
    raw /= np.linalg.norm(raw)
    monkeypatch.setattr(FakeEncoder, "embed", lambda encoder, pixels: raw)
    assert not np.array_equal(dequantise(quantise(raw)), raw)
    assert np.array_equal(searcher.embedder.embed(b"pic1"), dequantise(quantise(raw))[0])


def test_embeds_the_part_that_is_asked_for(searcher):
    assert not np.array_equal(searcher.embedder.embed(b"pic1"), searcher.embedder.embed(b"pic1", (0.0, 0.0, 0.5, 0.5)))
    with pytest.raises(DecodeError):
        searcher.embedder.embed(b"not a picture")


def test_ranks_ids_best_first_without_those_unknown_or_twice(searcher):
    version, ranked = searcher.rank(["i3", "nobody", "i1", "i3", "gone"])
    assert version == 7
    assert [image_id for image_id, _ in ranked] == sorted(["i1", "i3"], key=lambda i: -unit(int(i[1:]))[0])
    assert searcher.rank(["nobody"]) == (7, [])


def test_predicts_the_best_tags_first(searcher, predictor):
    found = searcher.predict(unit(0), 2, 1)
    assert found.tagger_version == predictor.snapshot.version
    expected = {tag: float(predictor.score(tag, unit(0)[None])[0]) for tag in ("cat", "dog")}
    assert [row.tag for row in found.tags] == sorted(expected, key=lambda tag: -expected[tag])
    assert {row.tag: row.probability for row in found.tags} == pytest.approx(expected, abs=1e-6)
    assert [row.tag for row in searcher.predict(unit(0), 5, min_images=11).tags] == ["dog"]


@pytest.mark.parametrize("min_images", [1, 2])
def test_predicted_tags_say_whether_they_reach_their_threshold(searcher, predictor, min_images):
    found = [row for number in range(COUNT) for row in searcher.predict(unit(number), 5, min_images).tags]
    thresholds = {tag: predictor.catalogue.tag(tag).threshold for tag in ("cat", "dog")}
    assert [row.above_threshold for row in found] == [row.probability >= thresholds[row.tag] for row in found]
    assert {row.above_threshold for row in found} == {True, False}


def test_by_tag_results_say_whether_they_reach_its_threshold_and_otherwise_nothing(searcher, predictor):
    results = searcher.by_tag("cat", Options(limit=COUNT, collapse="none")).results
    threshold = predictor.catalogue.tag("cat").threshold
    assert [found.above_threshold for found in results] == [found.hit.score >= threshold for found in results]
    assert {found.above_threshold for found in results} == {True, False}
    assert {found.above_threshold for found in searcher.by_vector(unit(0), Options()).results} == {None}


def test_before_anything_was_evaluated_nothing_reaches_a_threshold(index):
    tagger = Tagger(dimension=D)
    tagger.learn_many([Example("i0", quantise(unit(0)[None])[0], ("cat",))], 0)
    served = ServedModels(tagger=ServedTagger(tagger.predictor()))
    searcher = Searcher(index, FakeEncoder(), FakeDecoder(), served)
    assert tagger.predictor().snapshot.quality.images == 0
    assert not any(row.above_threshold for row in searcher.predict(unit(0), 5, 1).tags)
    assert not any(found.above_threshold for found in searcher.by_tag("cat", Options()).results)
    assert np.isnan(tagger.predictor().catalogue.tag("cat").threshold)


def test_before_a_model_is_published_the_answer_is_later(index):
    searcher = Searcher(index, FakeEncoder(), FakeDecoder(), ServedModels())
    for ask in (searcher.tagger, searcher.ranker, lambda: searcher.by_tag("cat", Options())):
        with pytest.raises(InfrastructureError, match="nothing published yet"):
            ask()
    assert len(searcher.by_vector(unit(1), Options(limit=3)).results) == 3


def test_more_copies_than_the_page_has_room_for_do_not_empty_it():
    index = local_index()
    copies = [IndexRecord(f"c{n}", 1, record(0).payload, unit(0)) for n in range(15)]
    index.write([*copies, *(record(n) for n in range(1, 10))], [])
    answer = Searcher(index, FakeEncoder(), FakeDecoder(), ServedModels()).by_vector(unit(0), Options(limit=5))
    assert len(answer.results) == 5
    index.close()
