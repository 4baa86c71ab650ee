"""Laws of names after operations on tags: the index shows and finds what the learner says images carry."""

from hypothesis import given, settings
from hypothesis import strategies as st

from models.tagging.examples import Example, TagOperation
from models.tagging.serving.catalogue import TagCatalogue
from models.tagging.tagger import Tagger
from search.tag_names import TagNames
from stream.index.contract import TagFilter
from tests.digests import all_images
from tests.property.test_tagging_laws import VECTORS, small

TAGS = ("cat", "kitty", "crane", "bird")
NEW = ("lynx", "feline")
FORGETTABLE = "junk"  # a name used again after it was forgotten is the one thing the index cannot tell apart
IMAGES = tuple(f"image {i}" for i in range(6))

one_tag = st.sampled_from((*TAGS, *NEW)).map(lambda tag: (tag,))
some_tags = st.lists(st.sampled_from((*TAGS, *NEW)), min_size=1, max_size=2, unique=True).map(tuple)
into = st.sampled_from((*TAGS, *NEW))
operations = st.one_of(
    st.builds(TagOperation, st.just(""), st.sampled_from(["merge", "alias"]), some_tags, into),
    st.builds(TagOperation, st.just(""), st.sampled_from(["rename", "imply", "imply"]), one_tag, into),
    st.builds(
        TagOperation, st.just(""), st.just("split"), one_tag, into,
        images=st.lists(st.sampled_from(IMAGES), min_size=1, max_size=4, unique=True).map(tuple),
    ),
    st.just(TagOperation("", "forget", (FORGETTABLE,))),
    st.builds(TagOperation, st.just(""), st.just("undo"), target=st.integers(0, 5).map(str)),
)  # fmt: skip
carried = st.lists(st.sampled_from((*TAGS, FORGETTABLE)), max_size=3, unique=True).map(tuple)


def play(tags_of: list[tuple[str, ...]], operations: list[TagOperation]) -> Tagger:
    """A learner of images with these tags, then of operations called "0", "1" and so on."""
    tagger = small()
    examples = [
        Example(image_id, VECTORS[0], tags, complete=True) for image_id, tags in zip(IMAGES, tags_of, strict=True)
    ]
    named = [
        TagOperation(str(number), one.kind, one.tags, one.into, one.images, one.target)
        for number, one in enumerate(operations)
    ]
    tagger.learn_many([*examples, *named], 0)
    return tagger


def learned(tagger: Tagger) -> dict[str, set[str]]:
    """What the learner says each image carries."""
    names = tagger.statistics.vocabulary.names
    return {state.image_id: {names[row] for row in tagger.statistics.tags_of(state)} for state in all_images(tagger)}


def carried_by(tagger: Tagger) -> dict[str, set[str]]:
    """The same with what follows by implication."""
    names = tagger.statistics.vocabulary.names
    carrying = learned(tagger)
    for carries in carrying.values():
        for row, implied in tagger.operations.implied():
            if names[row] in carries:
                carries.add(names[implied])
    return carrying


def meets(image_id: str, tags: tuple[str, ...], group: tuple[TagFilter, ...]) -> bool:
    """What an index does with a group of conditions."""
    return any(
        not set(tags).isdisjoint(one.names) and (not one.among or image_id in one.among) and image_id not in one.without
        for one in group
    )


@settings(max_examples=150)
@given(st.lists(carried, min_size=len(IMAGES), max_size=len(IMAGES)), st.lists(operations, max_size=6))
def test_images_show_and_are_found_by_what_the_learner_says_they_carry(
    tags_of: list[tuple[str, ...]], operations: list[TagOperation]
) -> None:
    tagger = play(tags_of, operations)
    catalogue = TagCatalogue(tagger.snapshot(wait=True))
    names, said, truth = TagNames(catalogue), learned(tagger), carried_by(tagger)
    for image_id, tags in zip(IMAGES, tags_of, strict=True):
        shown = names.shown(image_id, tags)
        assert set(shown) == said[image_id]
        implied = names.implied(shown)
        assert len(set(implied)) == len(implied) and set(implied) == truth[image_id] - said[image_id]
    for tag in (*TAGS, *NEW, FORGETTABLE):
        row = catalogue.find(tag)
        wanted = {i for i, carries in truth.items() if row is not None and catalogue.snapshot.names[row] in carries}
        group = names.filters(tag)
        assert {i for i, tags in zip(IMAGES, tags_of, strict=True) if meets(i, tags, group)} == wanted
        some = names.wanted(tag)
        assert {i for i, tags in zip(IMAGES, tags_of, strict=True) if names.carries(i, tags, some)} == wanted
        assert row is not None or not wanted
        if row is not None:
            known = catalogue.tag(tag)
            assert (known.count, known.tagged) == (len(wanted), sum(known.name in carries for carries in said.values()))


def test_names_stand_for_themselves_before_a_model_is_served() -> None:
    names = TagNames(None)
    assert names.shown("a", ["cat", "dog"]) == ["cat", "dog"]
    assert names.filters("Red_Panda") == (TagFilter(("red panda",)),)


def test_a_forgotten_name_is_not_shown_and_finds_nothing() -> None:
    tagger = play([("junk", "cat")] * 6, [TagOperation("", "forget", ("junk",))])
    names = TagNames(TagCatalogue(tagger.snapshot(wait=True)))
    assert names.shown("image 0", ["junk", "cat", "never learned"]) == ["cat", "never learned"]
    assert names.filters("junk") == ()
