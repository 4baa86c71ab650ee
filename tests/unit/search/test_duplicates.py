"""Duplicates on a page: folded, marked, and nobody lost."""

from hypothesis import given
from hypothesis import strategies as st

from search.duplicates import NEAR_BITS, collapse
from stream.index.contract import Hit
from tests.fakes import payload


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
