"""One suite for every VectorIndex: Qdrant Edge here and behind its server, the client's local mode, a dict, a server.

The server part runs wherever MEKIKI_TEST_QDRANT_URL names one, in a collection of its own that is dropped afterwards.
"""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import EncoderMismatchError
from models.quantise import dequantise, quantise
from stream.index.contract import ALL, Condition, TagFilter
from stream.index.edge import EdgeIndex
from stream.index.payload import IndexRecord
from stream.log.reading.positions import StoredOffset, position_of
from tests.fakes import payload

D = 16


def unit(seed):
    vector = np.random.default_rng(seed).standard_normal(D).astype(np.float32)
    return dequantise(quantise((vector / np.linalg.norm(vector))[None]))[0]


def record(name, position=1, seed=None, **known):
    return IndexRecord(name, position, payload(**known), unit(hash(name) % 1000 if seed is None else seed))


def offset(at, epoch=0, topic_id="t1"):
    return StoredOffset("images", 0, at, topic_id, epoch)


def test_finds_what_was_written_best_first(index):
    index.write([record(f"i{n}", seed=n) for n in range(20)], [])
    hits = index.search(unit(7), 5)
    assert hits[0].image_id == "i7"
    assert hits[0].score == pytest.approx(1.0, abs=1e-3)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    expected = sorted(range(20), key=lambda n: -float(unit(n) @ unit(7)))[:5]
    assert [h.image_id for h in hits] == [f"i{n}" for n in expected]


def test_gives_vectors_back_to_the_bit(index):
    index.write([record("a", seed=3)], [])
    assert np.array_equal(index.fetch(["a"], with_vectors=True)["a"].vector, unit(3))
    assert index.fetch(["a"])["a"].vector is None
    assert np.array_equal(index.search(unit(3), 1, with_vectors=True)[0].vector, unit(3))


def test_keeps_payloads_as_they_were(index):
    written = record("payload/ü 1")
    known = payload(tags=("猫", "🐈‍⬛", "two words"), width_px=12, complete=True, posted_at="2026-11-27T12:00:00Z")
    written = replace(written, payload=known, seen=("ab", "cd"))
    index.write([written], [])
    found = index.fetch(["payload/ü 1"], with_vectors=True)["payload/ü 1"]
    assert replace(found, vector=None) == replace(written, vector=None)
    assert index.search(written.vector, 1)[0].payload == known


@pytest.mark.parametrize("image_id", ["kind", "$kind", "$vector", "vector", "[]", "a" * 256])
def test_an_id_may_be_any_text(index, image_id):
    index.write([record(image_id)], [])
    assert index.fetch([image_id])[image_id].payload == payload()


def test_equal_scores_come_by_id(index):
    index.write([record(name, seed=5) for name in ("c", "a", "d", "b")], [])
    assert [hit.image_id for hit in index.search(unit(5), 4)] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("limit", [1, 10, 500])
def test_scores_and_order_are_exact_whatever_a_search_goes_through_first(index, limit):
    """Filtered and not, over 1,500 images: no result is missing, and scores are inner products of floats."""
    vectors = {f"i{n}": unit(n) for n in range(1_500)}
    index.write([record(f"i{n}", seed=n, tags=(f"tag {n % 3}",)) for n in range(1_500)], [])
    query, odd = unit(9_999), Condition(tags=((TagFilter(("tag 1",)),),))
    for condition, among in ((ALL, vectors), (odd, {name: vectors[name] for name in list(vectors)[1::3]})):
        scores = sorted(((float(vector @ query), name) for name, vector in among.items()), reverse=True)[:limit]
        hits = index.search(query, limit, condition)
        assert [hit.image_id for hit in hits] == [name for _, name in scores]
        assert [hit.score for hit in hits] == pytest.approx([score for score, _ in scores], abs=1e-6)


def test_says_how_it_is_kept(index):
    index.write([record("a")], [offset(1)])
    described = index.describe()
    assert described.points == 3  # the image, the offset, and what the index says of itself
    assert described.quantization in ("none", "scalar", "turbo", "binary")


def test_unknown_ids_are_missing_from_the_answer(index):
    index.write([record("a")], [])
    assert set(index.fetch(["a", "b"])) == {"a"}


def test_an_older_write_changes_nothing_and_a_newer_one_everything(index):
    index.write([record("a", position=5, uri="first"), record("b", position=5, uri="first")], [])
    index.write([record("a", position=4, uri="older"), record("b", position=6, uri="newer")], [])
    found = index.fetch(["a", "b"])
    assert (found["a"].payload.uri, found["a"].position) == ("first", 5)
    assert (found["b"].payload.uri, found["b"].position) == ("newer", 6)


def test_positions_near_the_largest_are_told_apart(index):
    newest = position_of(4095, 2**41 - 2)
    index.write([record("a", position=newest, uri="new")], [])
    index.write([record("a", position=newest - 1, uri="old")], [])
    assert index.fetch(["a"])["a"].payload.uri == "new"


def test_offsets_travel_with_records_and_only_grow(index):
    index.write([record("a")], [offset(10)])
    index.write([], [offset(7)])
    assert index.offsets() == [offset(10)]
    index.write([], [offset(3, epoch=1, topic_id="t2")])
    assert index.offsets() == [offset(3, epoch=1, topic_id="t2")]


def test_what_waits_is_listed_and_never_found(index):
    waiting = IndexRecord("ghost", 3, seen=("ab",), waiting=("one", "two"))
    index.write([record("a", seed=1), waiting, IndexRecord("empty", 2), IndexRecord("gone", 2, deleted=True)], [])
    assert index.scroll_waiting(None, 10) == ([waiting], None)
    assert index.count() == 1
    assert [hit.image_id for hit in index.search(unit(1), 10)] == ["a"]
    found = index.fetch(["ghost", "empty", "gone"])
    assert [found[name].kind for name in ("ghost", "empty", "gone")] == ["waiting", "empty", "tombstone"]
    index.write([replace(record("ghost", position=4, seed=2), seen=("ab",))], [])
    assert index.scroll_waiting(None, 10) == ([], None)


def test_a_tombstone_is_not_found_not_counted_and_not_overwritten_by_older_news(index):
    index.write([record("a", position=1, seed=1), record("b", position=1, seed=2)], [offset(2)])
    index.write([IndexRecord("a", 5, deleted=True)], [offset(5)])
    index.write([record("a", position=3, seed=1)], [])
    assert [hit.image_id for hit in index.search(unit(1), 10)] == ["b"]
    assert index.count() == 1
    assert index.fetch(["a"], with_vectors=True)["a"].deleted
    index.write([record("a", position=6, seed=1)], [])
    assert index.search(unit(1), 1)[0].image_id == "a"


def test_the_index_on_kinds_counts_what_is_counted_one_by_one(index):
    """Over images, their replacements, tombstones, and what waits and comes."""
    every = range(400)
    index.write([record(f"i{n}", seed=n) for n in every], [offset(1)])
    index.write([record(f"i{n}", position=3, seed=n + 1, tags=("cat",)) for n in every[::4]], [])
    index.write([IndexRecord(f"i{n}", 4, deleted=True) for n in every[::8]], [])
    index.write([IndexRecord(f"w{n}", 2, waiting=("one",)) for n in range(20)], [])
    index.write([record(f"w{n}", position=5, seed=n) for n in range(5)], [])
    index.write([record(f"i{n}", position=2, seed=n) for n in every[:50]], [])
    index.flush()
    expected = {"image": 355, "tombstone": 50, "waiting": 15}
    assert {kind: index.count(kind) for kind in expected} == expected
    assert {kind: index.count(kind, exact=False) for kind in expected} == expected


def test_scroll_visits_every_image_once(index):
    index.write([record(f"i{n}", seed=n) for n in range(45)], [offset(1)])
    index.write([IndexRecord("i3", 9, deleted=True)], [])
    seen, cursor = [], None
    while True:
        page, cursor = index.scroll(cursor, 10)
        assert len(page) <= 10
        seen += [hit.image_id for hit in page]
        if cursor is None:
            break
    assert sorted(seen) == sorted(f"i{n}" for n in range(45) if n != 3)


def test_finds_images_with_the_same_bytes(index):
    index.write([record("a", sha256="a" * 64), record("b", sha256="a" * 64), record("c", sha256="c" * 64)], [])
    assert {hit.image_id for hit in index.find_sha256("a" * 64, 10)} == {"a", "b"}


def test_refuses_vectors_that_would_poison_every_search(index):
    bad = unit(1).copy()
    bad[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        index.write([IndexRecord("bad", 1, payload(), bad), record("good")], [offset(1)])
    with pytest.raises(ValueError, match="shape"):
        index.write([record("good"), IndexRecord("bad", 1, payload(), unit(1)[:8])], [offset(1)])
    assert index.count() == 0
    assert index.offsets() == []


def test_refuses_another_encoder(index):
    with pytest.raises(EncoderMismatchError, match="enc-1"):
        index.open("enc-2", D)
    index.open("enc-1", D)


def test_large_batches_are_written_whole(index):
    index.write([record(f"i{n}", seed=n) for n in range(300)], [offset(300)])
    assert index.count() == 300
    assert index.offsets() == [offset(300)]


def test_an_edge_folder_goes_on_where_it_stood(tmp_path):
    first = EdgeIndex(tmp_path / "index")
    first.open("enc-1", D)
    first.write([record("a", seed=1)], [offset(4)])
    first.close()
    second = EdgeIndex(tmp_path / "index")
    second.open("enc-1", D)
    assert second.offsets() == [offset(4)]
    assert second.search(unit(1), 1)[0].image_id == "a"
    second.close()


def test_raw_features_come_where_they_are_asked_for(index):
    written = record("a", seed=3, raw="AAEC", tags=("cat",))
    index.write([written], [])
    assert index.fetch(["a"], with_raw=True)["a"].payload.raw == "AAEC"
    assert index.scroll(None, 5, with_raw=True)[0][0].payload.raw == "AAEC"
    without = [
        index.fetch(["a"])["a"].payload,
        index.scroll(None, 5)[0][0].payload,
        index.search(unit(3), 1)[0].payload,
    ]
    assert {found.raw for found in without} == {""} and {found.tags for found in without} == {("cat",)}
    index.write([replace(index.fetch(["a"], with_vectors=True, with_raw=True)["a"], position=2)], [])
    assert index.fetch(["a"], with_raw=True)["a"].payload.raw == "AAEC"
