"""Tags by name: however spelt, under former names, and not at all."""

from collections import Counter

import numpy as np
import pytest

from models.errors import NotFoundError, PolicyError
from models.tagging.examples import TagOperation
from models.tagging.serving.catalogue import TagCatalogue
from models.tagging.serving.snapshot import Snapshot
from tests.tagged_images import images, learner, whole


@pytest.fixture(scope="module")
def catalogue() -> TagCatalogue:
    tagger = learner()
    tagger.learn_many(
        [TagOperation("1", "rename", ("tag 3",), "three"), TagOperation("2", "forget", ("tag 4",))],
        tagger.next_position,
    )
    return TagCatalogue(tagger.snapshot(wait=True))


def test_tags_are_listed_the_most_used_first(catalogue: TagCatalogue) -> None:
    counts = Counter(tag for example in images(0, 400, 12) for tag in example.added)
    counts["three"] = counts.pop("tag 3")
    del counts["tag 4"]
    expected = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    assert [(row.name, row.count) for row in catalogue.tags()] == expected
    assert [(row.name, row.count) for row in catalogue.tags(2, " TAG_1")] == [
        pair for pair in expected if pair[0].startswith("tag 1")
    ][:2]


@pytest.mark.parametrize("spelling", ["three", "Three", " THREE ", "tag 3", "Tag_3"])
def test_a_tag_is_found_however_spelt_and_under_its_former_name(catalogue: TagCatalogue, spelling: str) -> None:
    assert catalogue.snapshot.names[catalogue.row(spelling)] == "three"
    assert np.array_equal(catalogue.weights(spelling), whole(catalogue.snapshot.ridge)[catalogue.row("three")])


@pytest.mark.parametrize("tag", ["no such", "tag 4"])
def test_unknown_and_forgotten_tags_are_named(catalogue: TagCatalogue, tag: str) -> None:
    assert catalogue.find(tag) is None
    for ask in (catalogue.row, catalogue.weights, catalogue.tag):
        with pytest.raises(NotFoundError, match=tag):
            ask(tag)


def test_what_cannot_be_a_tag_is_refused(catalogue: TagCatalogue) -> None:
    with pytest.raises(PolicyError):
        catalogue.find("x" * 1_000)


def test_a_version_that_knows_nothing_lists_nothing() -> None:
    assert TagCatalogue(Snapshot.empty(4)).tags() == []
