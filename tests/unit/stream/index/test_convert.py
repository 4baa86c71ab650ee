"""An embedded index of another quantisation: refused by the worker, and the same point by point once converted."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.errors import ConfigurationError, StorageUnavailableError
from models.quantise import dequantise, quantise
from stream.index.convert import convert
from stream.index.edge import EdgeIndex, stored_shape
from stream.index.payload import IndexRecord
from stream.log.reading.positions import StoredOffset
from stream.settings import QdrantSettings
from tests.fakes import payload

D = 32
PLAIN, BITS = QdrantSettings(quantization="none"), QdrantSettings()


def nobody_listens(done, count):
    """Of progress."""


def fill(folder, settings, count=1_200):
    vectors = np.random.default_rng(3).standard_normal((count, D)).astype(np.float32)
    vectors = dequantise(quantise(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))
    records = [
        IndexRecord(f"i{n}", 4, payload(tags=("cat",), raw="AAEC"), vectors[n], seen=("ab",)) for n in range(count)
    ]
    records += [IndexRecord("gone", 7, deleted=True), IndexRecord("ghost", 3, waiting=("one",))]
    index = EdgeIndex(folder, settings)
    index.open("enc-1", D)
    index.write(records, [StoredOffset("images", 0, 10, "t1", 0)])
    index.close()
    return {record.image_id: record for record in records}


def assert_holds(folder, settings, records):
    index = EdgeIndex(folder, settings)
    index.open("enc-1", D)
    found = index.fetch(list(records), with_vectors=True, with_raw=True)
    assert found.keys() == records.keys()
    for name, record in records.items():
        assert replace(found[name], vector=None) == replace(record, vector=None)
        assert np.array_equal(found[name].vector, record.vector) or record.vector is None
    assert index.offsets() == [StoredOffset("images", 0, 10, "t1", 0)]
    assert index.scroll_waiting(None, 10)[0] == [records["ghost"]]
    assert index.search(records["i7"].vector, 1)[0].image_id == "i7"
    index.write([replace(records["i7"], position=3, deleted=True, payload=None, vector=None)], [])
    assert not index.fetch(["i7"])["i7"].deleted  # positions still count
    index.close()


def test_an_index_of_floats_is_refused_with_the_remedy_and_holds_the_same_once_converted(tmp_path):
    folder = tmp_path / "index"
    records, told = fill(folder, PLAIN), []
    refused = EdgeIndex(folder, BITS)
    with pytest.raises(ConfigurationError, match="quantised as none, expected turbo; `mekiki up` converts it"):
        refused.open("enc-1", D)
    assert convert(folder, BITS, lambda done, count: told.append((done, count)))
    assert told == [(1_000, 1_204), (1_204, 1_204)]
    assert stored_shape(folder) == ("turbo", D)
    assert_holds(folder, BITS, records)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    assert not convert(folder, BITS, nobody_listens)


def test_bits_that_nobody_asks_for_stay_and_are_not_used(tmp_path):
    records = fill(tmp_path / "index", BITS)
    assert not convert(tmp_path / "index", PLAIN, nobody_listens)
    assert_holds(tmp_path / "index", PLAIN, records)


def test_where_there_is_no_index_there_is_nothing_to_convert(tmp_path):
    assert not convert(tmp_path / "index", BITS, nobody_listens)
    assert not list(tmp_path.iterdir())


class PowerCut(Exception):
    """Whatever comes in the middle."""


@pytest.mark.parametrize("renames", [0, 1])
def test_a_conversion_that_was_cut_off_begins_again(tmp_path, monkeypatch, renames):
    """While points are copied, and between the two renames, in which there is no index under its name."""
    folder = tmp_path / "index"
    records, rename, left = fill(folder, PLAIN), Path.rename, [renames]

    def cut(path, target):
        if not left[0]:
            raise PowerCut
        left[0] -= 1
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", cut)
    with pytest.raises(PowerCut):
        convert(folder, BITS, nobody_listens)
    monkeypatch.undo()
    assert convert(folder, BITS, nobody_listens)
    assert_holds(folder, BITS, records)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_conversion_without_room_touches_nothing(tmp_path, monkeypatch):
    records = fill(tmp_path / "index", PLAIN)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=220_000_000))
    with pytest.raises(StorageUnavailableError, match="free some space"):
        convert(tmp_path / "index", BITS, nobody_listens)
    monkeypatch.undo()
    assert_holds(tmp_path / "index", PLAIN, records)


def test_int8_is_refused_without_a_server(tmp_path):
    with pytest.raises(ConfigurationError, match="MEKIKI_QDRANT__QUANTIZATION scalar: expected auto, turbo, binary"):
        EdgeIndex(tmp_path / "index", QdrantSettings(quantization="scalar"))
