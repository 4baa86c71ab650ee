"""The wire form: a delta leads to the same version to the bit, is as small as the change, and refused when damaged."""

import json

import numpy as np
import pytest
from safetensors import numpy as safetensors

from models.errors import CheckpointError
from models.quantise import quantise
from models.tagging.examples import Example, TagOperation
from models.tagging.serving.catalogue import TagCatalogue
from models.tagging.serving.delta import decode, encode
from models.tagging.serving.predictor import Predictor
from models.tagging.serving.snapshot import Snapshot
from tests.tagged_images import DIMENSION, images, learner, queries


def test_deltas_lead_to_the_same_version() -> None:
    tagger = learner()
    old = tagger.snapshot(wait=True)
    log = [*images(1, 2500, 30), Example("0/3", deleted=True), TagOperation("s", "rename", ("tag 3",), "three")]
    served = old
    for start in range(0, len(log), 700):
        tagger.learn_many(log[start : start + 700], 1000 + start)
        new = tagger.snapshot()
        served = decode(encode(new, served), served)
        assert encode(served) == encode(new)
    assert encode(decode(encode(new, old), old)) == encode(new)
    assert np.array_equal(Predictor(served).probabilities(queries()), Predictor(new).probabilities(queries()))
    assert encode(decode(encode(new))) == encode(new)
    assert "three" in [row.name for row in TagCatalogue(served).tags()]


def test_a_version_of_format_3_is_read_as_if_nothing_were_implied() -> None:
    tagger = learner()
    tagger.learn_many([TagOperation("i", "imply", ("tag 3",), "tag 4", by="ann", time_ms=5)], 1000)
    new = tagger.snapshot(wait=True)
    data = encode(new)
    size = int.from_bytes(data[:8], "little")
    facts = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["mekiki"])
    assert facts["format"] == 4
    facts |= {"format": 3, "operations": {at: row[:7] for at, row in facts["operations"].items()}}
    tensors = {name: value for name, value in safetensors.load(data).items() if not name.startswith("carried.")}
    old = decode(safetensors.save(tensors, {"mekiki": json.dumps(facts)}))
    assert np.array_equal(old.columns.carried, new.columns.counts)
    assert (old.operations[0].by, old.operations[0].time_ms) == ("", 0)
    assert decode(data).operations[0][-4:] == ("ann", 5, "", "")
    assert decode(data).columns.carried.sum() > decode(data).columns.counts.sum()


def test_a_small_change_makes_a_small_delta() -> None:
    tagger = learner(2000, 400)
    old = tagger.snapshot(wait=True)
    tagger.learn_many([Example("new", quantise(queries(1))[0], ("nova",))], 5000)
    new = tagger.snapshot()
    assert len(encode(new, old)) < len(encode(new)) / 5


def test_an_old_snapshot_does_not_change() -> None:
    tagger = learner()
    old = tagger.snapshot(wait=True)
    before = encode(old)
    tagger.learn_many([*images(1, 3000, 20), *[Example(f"0/{i}", deleted=True) for i in range(50)]], 1000)
    tagger.snapshot(wait=True)
    assert encode(old) == before


def test_damaged_and_foreign_deltas_are_refused() -> None:
    tagger = learner()
    old = tagger.snapshot(wait=True)
    tagger.learn_many(images(1, 100, 12), 1000)
    data = encode(tagger.snapshot(), old)
    for base in (None, Snapshot.empty(DIMENSION, 8)):
        with pytest.raises(CheckpointError, match="load the whole snapshot"):
            decode(data, base)
    with pytest.raises(CheckpointError, match="damaged"):
        decode(data[: len(data) // 2], old)
    with pytest.raises(CheckpointError, match="damaged"):
        decode(b"garbage")
