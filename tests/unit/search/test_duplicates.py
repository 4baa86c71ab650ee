"""Duplicates on a page: folded, marked, and nobody lost."""

import base64
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.look import are_near, look_of, read_look
from search.duplicates import collapse
from stream.index.contract import Hit
from tests.fakes import payload


def look(shade, square):
    """A square on a gray picture, as it looks from afar."""
    picture = np.full((224, 224, 3), 90, np.uint8)
    picture[60:160, square : square + 60] = shade
    return base64.b64encode(look_of(picture)).decode()


def hit(number, sha256, look):
    return Hit(f"h{number}", 1 - number / 100, payload(sha256=sha256, look=look))


LOOKS = st.sampled_from(
    [look(250, 40), look(248, 41), look(250, 120), look((255, 0, 0), 40), look((0, 0, 255), 40), ""]
)
HITS = st.lists(
    st.tuples(st.sampled_from("abcd"), LOOKS),
    max_size=10,
).map(lambda rows: [hit(n, sha256, look) for n, (sha256, look) in enumerate(rows)])  # fmt: skip


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
            looks = [read_look(base64.b64decode(one.hit.payload.look)) for one in (item, other)]
            assert None in looks or not are_near(*looks)


def test_another_colour_or_place_is_another_picture():
    hits = [hit(0, "a", look(250, 40)), hit(1, "b", look(248, 41)), hit(2, "c", look((255, 0, 0), 40))]
    assert [found.near_duplicate_of for found in collapse(hits, "exact")] == [None, "h0", None]


def test_an_index_from_before_there_were_looks_marks_none():
    assert [found.near_duplicate_of for found in collapse([hit(0, "a", ""), hit(1, "b", "")], "near")] == [None, None]


def vector(*numbers):
    return np.array(numbers, np.float32) / np.linalg.norm(numbers)


def test_what_looks_the_same_and_is_embedded_elsewhere_stays_apart():
    """And is near another that both agree on."""
    vectors = {"h0": vector(1, 0), "h1": vector(0, 1), "h2": vector(0.1, 1)}
    hits = [hit(number, str(number), look(250, 40)) for number in range(3)]
    asked = []

    def vectors_of(image_ids):
        asked.append(image_ids)
        return {image_id: vectors[image_id] for image_id in image_ids}

    assert [found.near_duplicate_of for found in collapse(hits, "exact", 3, vectors_of)] == [None, None, "h1"]
    assert [found.duplicates for found in collapse(hits, "near", 3, vectors_of)] == [[], ["h2"]]
    assert asked == [["h0", "h1", "h2"]] * 2


def test_vectors_are_asked_for_only_where_looks_are_near_and_not_known():
    def never(image_ids):
        raise AssertionError(image_ids)

    apart = [hit(0, "a", look(250, 40)), hit(1, "b", look(250, 120))]
    assert len(collapse(apart, "near", 2, never)) == 2
    known = [replace(hit(number, str(number), look(250, 40)), vector=vector(1, number)) for number in range(2)]
    assert [found.near_duplicate_of for found in collapse(known, "exact", 2, never)] == [None, "h0"]


def test_where_a_vector_is_gone_looks_decide():
    hits = [hit(number, str(number), look(250, 40)) for number in range(2)]
    assert [found.near_duplicate_of for found in collapse(hits, "exact", 2, lambda ids: {})] == [None, "h0"]
