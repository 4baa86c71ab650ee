"""Operations on tags at the learner: in log order, each once, and no refusal without a word."""

import logging

import numpy as np
import pytest
from prometheus_client import REGISTRY

from models.tagging.examples import TagOperation
from tests.unit.stream.learn.examples import EXAMPLES, MERGE, Examples, counts, example

UNDO = TagOperation("u", "undo", target="s")


@pytest.fixture
def examples(tmp_path):
    return Examples(tmp_path)


def learn(examples, *learned):
    examples.post(*learned)
    return examples.run()


def counted(kind, outcome):
    labels = {"kind": kind, "outcome": outcome}
    return REGISTRY.get_sample_value("mekiki_tag_operations_total", labels) or 0.0


def test_an_operation_is_carried_out_in_its_place_and_served_with_what_came_of_it(examples):
    before = counted("merge", "done")
    catalogue = learn(examples, *EXAMPLES, MERGE, example(20, "kitty"))
    assert counts(catalogue) == {"cat": 11}
    (row,) = catalogue.snapshot.operations
    assert (row.operation_id, row.outcome, row.active) == ("s", "done", True)
    assert counted("merge", "done") == before + 1


def test_what_ingest_sent_twice_is_carried_out_once(examples):
    before = counted("merge", "repeated")
    examples.post(*EXAMPLES, MERGE, UNDO)
    examples.send(MERGE, 10)
    examples.send(UNDO, 11)
    catalogue = examples.run()
    assert counts(catalogue) == {"cat": 5, "kitty": 5}
    assert [row.outcome for row in catalogue.snapshot.operations] == ["undone", "done"]
    assert counted("merge", "repeated") == before


def test_an_operation_posted_again_changes_nothing_and_is_counted_as_repeated(examples):
    before = counted("merge", "repeated")
    catalogue = learn(examples, *EXAMPLES, MERGE, UNDO, MERGE)
    assert counts(catalogue) == {"cat": 5, "kitty": 5}
    assert counted("merge", "repeated") == before + 1


def test_a_refused_operation_is_logged_counted_and_served(examples, caplog):
    before = counted("forget", "refused")
    with caplog.at_level(logging.WARNING):
        catalogue = learn(examples, *EXAMPLES, TagOperation("f", "forget", ("zebra",)))
    assert "forget 'f' refused: tags zebra: expected tags that were used before" in caplog.text
    assert counted("forget", "refused") == before + 1
    assert [(row.active, "zebra" in row.outcome) for row in catalogue.snapshot.operations] == [(False, True)]


def test_operations_survive_a_restart(examples):
    first = learn(examples, *EXAMPLES, MERGE)
    second = learn(examples, UNDO)
    assert [row.operation_id for row in first.snapshot.operations] == ["s"]
    assert [row.operation_id for row in second.snapshot.operations] == ["s", "u"]
    assert counts(second) == {"cat": 5, "kitty": 5}


def test_a_split_says_which_pictures_it_moved(examples):
    split = TagOperation("s", "split", ("cat",), "lynx", images=("i1", "i2", "i3", "nobody"))
    catalogue = learn(examples, *EXAMPLES, split)
    assert counts(catalogue) == {"cat": 3, "kitty": 5, "lynx": 2}
    assert [image_id for image_id, _ in catalogue.snapshot.operations[0].moved] == ["i1", "i3"]
    assert np.isfinite(catalogue.weights("lynx")).all()


@pytest.mark.parametrize("kind", ["merge", "rename", "alias", "forget", "split"])
def test_after_an_undo_the_served_tags_are_those_of_before(examples, kind):
    into = "" if kind == "forget" else "lynx"
    images = ("i1", "i3") if kind == "split" else ()
    catalogue = learn(examples, *EXAMPLES, TagOperation("s", kind, ("cat",), into, images), UNDO)
    assert {name: count for name, count in counts(catalogue).items() if count} == {"cat": 5, "kitty": 5}
    assert set(counts(catalogue)) <= {"cat", "kitty", "lynx"}
