"""Tag vectors of a log in memory: as of an offset to the bit, nothing of later, whole files or none."""

import csv
import errno
import hashlib
import json
import sys
from contextlib import closing

import numpy as np
import pyarrow.parquet
import pytest

from models.errors import ConfigurationError, OffsetLostError, StorageUnavailableError, UsageError
from models.tagging.examples import TagOperation
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from stream.events.example import SourcedExample, encode_example
from stream.export import table
from stream.export.tags import check_free, manifest_path, write_tags
from stream.learn.replay import replay
from stream.learn.tagger_state import OpenTagger
from stream.log.reading.positions import position_of
from tests.fake_log import FakeReader
from tests.fakes import D
from tests.unit.stream.learn.examples import EXAMPLES, MERGE, Examples, example

STORY = [
    *EXAMPLES,
    example(3, "tabby"),
    MERGE,
    example(11, "bird"),
    example(4, deleted=True),
    example(12, "cat", "bird"),
]
PLANTED = [
    example(20, "planted"),
    example(1, "planted"),
    example(2, removed=("kitty",)),
]  # a later tag, on old images too


@pytest.fixture
def examples(tmp_path):
    return Examples(tmp_path / "service")


@pytest.fixture
def export(examples, tmp_path):
    """Export at an offset; the manifest and the table's path."""

    def run(at=None, format="parquet", name="tags", claimed=None, embedded=False):
        folder = tmp_path / f"replayed-{name}"
        store = TaggerStore(folder / "tagger.sqlite", Tagger(dimension=D))
        with closing(OpenTagger(store, *store.open())) as state:
            end = replay(FakeReader(examples.log, ("examples",)), state, at=at, embedded=embedded)
            path = tmp_path / f"{name}.{format}"
            return write_tags(state, claimed or end, path=path, format=format), path

    return run


def read(path):
    """Probabilities [V] by image."""
    found = pyarrow.parquet.read_table(path).to_pydict()
    return {image_id: np.array(row, np.float32) for image_id, row in zip(found["image_id"], found["tags"], strict=True)}


def served(examples):
    """What a service started again here says of its images: names, and probabilities by image."""
    with closing(examples.state()) as state:
        predictor = state.tagger.predictor()
        images = [one for batch in state.tagger.statistics.memory.batches() for one in batch if one.vector is not None]
        vectors = np.stack([one.quantised.astype(np.float32) / 32767 for one in images])
        rows = predictor.probabilities(vectors)
        return predictor.snapshot.names, {one.image_id: row for one, row in zip(images, rows, strict=True)}


def differing(found, names, expected, vocabulary):
    """Words that were not known then, and images whose probabilities are others than then."""
    words = {column.name for column in vocabulary} - set(names)
    rows = {column.id: names.index(column.tag) for column in vocabulary if column.tag in names}
    ids, own = list(rows), list(rows.values())
    images = found.keys() ^ expected.keys()
    for image_id in found.keys() & expected.keys():
        if found[image_id][ids].tobytes() != expected[image_id][own].tobytes():
            images = images | {image_id}
    return words, images


def test_an_export_says_what_a_service_stopped_there_says_to_the_bit(examples, export):
    examples.post(*STORY)
    examples.run()
    names, expected = served(examples)
    examples.post(*PLANTED)
    manifest, path = export(at=len(STORY))
    assert differing(read(path), names, expected, manifest.vocabulary) == (set(), set())
    assert (manifest.offset, manifest.rows, manifest.learned) == (len(STORY), len(expected), len(STORY))
    later, path = export(name="control")  # the control: an export of the later state is caught
    words, images = differing(read(path), names, expected, later.vocabulary)
    assert words == {"planted"} and {"i20", "i1"} <= images


def test_columns_stay_where_they_are_as_the_log_goes_on(examples, export):
    examples.post(*STORY, *PLANTED)
    exports = [export(at=at, name=f"at-{at}")[0] for at in (1, 9, len(STORY), None)]
    words = [[column.name for column in manifest.vocabulary] for manifest in exports]
    assert words[-1] == ["kitty", "cat", "tabby", "bird", "planted"]
    assert all(words[-1][: len(some)] == some for some in words)
    assert [column.tag for column in exports[-1].vocabulary[:2]] == ["cat", "cat"]


def test_parquet_and_csv_hold_the_same_bits_and_the_manifest_their_hash(examples, export):
    examples.post(*STORY)
    manifest, parquet = export()
    _, text = export(name="text", format="csv")
    with text.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["image_id", "labelled", "t0", "t1", "t2", "t3"]
    assert {row[0]: np.array(row[2:], np.float32).tobytes() for row in rows} == {
        image_id: row.tobytes() for image_id, row in read(parquet).items()
    }
    written = json.loads(manifest_path(parquet).read_text())
    assert written["sha256"] == manifest.sha256 == hashlib.sha256(parquet.read_bytes()).hexdigest()
    assert [word["name"] for word in written["vocabulary"]] == ["kitty", "cat", "tabby", "bird"]
    assert (written["encoder"], written["rows"]) == ("enc", len(rows))


def test_two_exports_of_one_offset_are_the_same_file(examples, export):
    examples.post(*STORY, *PLANTED)
    assert export(at=12)[0].sha256 == export(at=12, name="again")[0].sha256


def test_an_image_that_nobody_labels_any_more_is_there_and_says_so(examples, export):
    examples.post(*EXAMPLES, example(2, removed=("kitty",)))
    _, path = export()
    found = pyarrow.parquet.read_table(path).to_pydict()
    assert dict(zip(found["image_id"], found["labelled"], strict=True))["i2"] is False
    assert sum(found["labelled"]) == len(EXAMPLES) - 1


# ---- what cannot be -----------------------------------------------------------------------------------------------


def test_an_offset_beyond_the_end_is_refused_and_leaves_nothing(examples, export, tmp_path):
    examples.post(*EXAMPLES)
    with pytest.raises(UsageError, match=r"offset 11: expected at most 10, where examples.v1 ends"):
        export(at=11)
    assert not list(tmp_path.glob("*tags*.parquet*"))


@pytest.mark.parametrize("story", [[], [TagOperation("f", "forget", ("cat",))]])
def test_an_offset_before_the_first_tag_is_refused(examples, export, story):
    examples.post(*story)
    with pytest.raises(UsageError, match=f"offset {len(story)}: expected one behind the first tag"):
        export()


def test_a_log_that_was_cut_says_where_it_begins(examples, export, monkeypatch):
    examples.post(*EXAMPLES)
    monkeypatch.setattr(FakeReader, "_place", lambda reader, _: setattr(reader, "_offsets", {("examples", 0): 4}))
    with pytest.raises(OffsetLostError, match="the log begins at 4, expected 0"):
        export()


def test_the_log_of_a_second_start_of_the_embedded_service_is_refused(examples, export):
    sourced = SourcedExample(EXAMPLES[0], "images", 0, position_of(1, 0), "enc")
    examples.append(encode_example(sourced))
    with pytest.raises(OffsetLostError, match="begins anew with every start"):
        export(embedded=True)
    assert export()[0].rows == 1  # elsewhere a later epoch is one in which images.v1 grew


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    path = tmp_path / "tags.csv"
    manifest_path(path).write_text("mine")
    with pytest.raises(UsageError, match=r"tags.csv.json: is there already"):
        check_free(path)
    with pytest.raises(UsageError, match="expected one that is there"):
        check_free(tmp_path / "none" / "tags.csv")


def test_a_full_disk_leaves_nothing_behind(examples, export, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(table.CsvTable, "write", full)
    examples.post(*EXAMPLES)
    with pytest.raises(StorageUnavailableError, match=r"tags.csv: not written \(No space left on device\)"):
        export(format="csv")
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_an_export_that_is_interrupted_leaves_nothing_behind(examples, export, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(table.ParquetTable, "write", interrupted)
    examples.post(*EXAMPLES)
    with pytest.raises(KeyboardInterrupt):
        export()
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_parquet_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'mekiki\[export\]', or take --format csv"):
        table.load_arrow()
