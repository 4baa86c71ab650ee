"""Law of classifiers per tag: whatever the log, they say what river says when taught the same by hand, to the bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from river.naive_bayes import GaussianNB

from models.quantise import dequantise
from models.tagging.examples import Example
from models.tagging.per_tag import Replay
from models.tagging.state import digest
from models.tagging.tagger import Tagger
from tests.property.test_tagging_laws import DIMENSION, VECTORS, batches, logs
from tests.unit.models.tagging.test_per_tag import by_hand, says

QUERIES = dequantise(VECTORS[:5])


def small() -> Tagger:
    return Tagger(dimension=DIMENSION, neighbours=5, reference_size=12, classifier="river.naive_bayes.GaussianNB")


@settings(max_examples=30, deadline=None)
@given(logs(), st.data())
def test_any_log_in_any_batches_teaches_what_it_teaches_by_hand(log: list[Example], data: st.DataObject) -> None:
    whole, parts, replay = small(), small(), Replay()
    whole.learn_many(log, 0)
    for position, batch in batches(log, data):
        parts.learn_many(batch, position)
        lessons = parts.snapshot(wait=True).lessons
        assert lessons is not None
        replay.advance(lessons)
    assert digest(whole) == digest(parts)
    snapshot, models = whole.snapshot(wait=True), by_hand(log, GaussianNB)
    assert set(models) == set(snapshot.names)
    served = np.flatnonzero(snapshot.columns.counts)
    chances, replayed = snapshot.chances(QUERIES), replay.chances(QUERIES, served.tolist())
    for row in served:
        expected = [says(models[snapshot.names[row]], dict(enumerate(query.tolist()))) for query in QUERIES]
        assert chances[:, row].tolist() == expected
    assert np.array_equal(replayed, chances[:, served])
