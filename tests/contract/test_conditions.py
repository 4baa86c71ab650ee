"""One suite for every VectorIndex: which images a search is among."""

from stream.index.contract import Condition, Range, TagFilter
from stream.index.payload import IndexRecord
from stream.index.terms import author_terms, metadata_terms, source_terms, title_terms, word_terms
from tests.contract.test_index import record, unit
from tests.fakes import payload


def test_searches_only_what_carries_one_name_of_every_group(index):
    def tagged(name, seed, tags):
        return IndexRecord(name, 1, payload(tags=tuple(tags)), unit(seed))

    def found(*groups):
        return {h.image_id for h in index.search(unit(1), 10, Condition(groups))}

    cat, either = TagFilter(("cat",)), TagFilter(("kitty", "cat"))
    index.write(
        [tagged("a", 1, ["cat", "猫"]), tagged("b", 2, ["cat"]), tagged("c", 3, []), tagged("d", 4, ["kitty"])], []
    )
    assert found((cat,)) == {"a", "b"}
    assert found((cat,), (TagFilter(("猫",)),)) == {"a"}
    assert found((either,)) == {"a", "b", "d"}
    assert found(
        (
            TagFilter(("猫",)),
            TagFilter(("kitty",)),
        )
    ) == {"a", "d"}
    assert found((either,), (TagFilter(("猫", "kitty")),)) == {"a", "d"}


def test_a_condition_may_hold_among_some_images_or_without_some(index):
    index.write([record(name, seed=seed, tags=("crane",)) for seed, name in enumerate("abc")], [])
    index.write([record("d", seed=4, tags=("other",))], [])

    def found(*conditions):
        return {h.image_id for h in index.search(unit(1), 10, Condition((conditions,)))}

    crane = ("crane",)
    assert found(TagFilter(crane, among=("a", "d", "never posted"))) == {"a"}
    assert found(TagFilter(crane, without=("a", "d"))) == {"b", "c"}
    assert found(TagFilter(crane, among=("a", "b"), without=("b",))) == {"a"}
    assert found(TagFilter(("other",)), TagFilter(crane, among=("c",))) == {"c", "d"}


def test_what_carries_a_tag_may_be_left_out(index):
    """As with tags that it must carry: among some images only, or all but some."""
    kinds = [("a", ("cat",)), ("b", ("kitty", "red")), ("c", ()), ("d", ("red",))]
    index.write([record(name, seed=seed, tags=tags) for seed, (name, tags) in enumerate(kinds)], [])

    def found(*without, tags=()):
        return {h.image_id for h in index.search(unit(1), 10, Condition(tags, without))}

    assert found(TagFilter(("cat", "kitty"))) == {"c", "d"}
    assert found(TagFilter(("cat",)), TagFilter(("red",))) == {"c"}
    assert found(TagFilter(("red",), among=("d",))) == {"a", "b", "c"}
    assert found(TagFilter(("red",), without=("d",))) == {"a", "c", "d"}
    assert found(TagFilter(("kitty",)), tags=((TagFilter(("red",)),),)) == {"d"}


def test_bounds_hold_for_times_and_sizes_and_are_included(index):
    shapes = [(100, 200, "2026-11-01T00:00:00Z"), (300, 200, "2026-11-01T02:00:00+02:00"), (200, 200, ""),
              (400, 100, "2026-11-02T00:00:00.25"), (150, 300, "no time at all")]  # fmt: skip
    for number, (width_px, height_px, posted_at) in enumerate(shapes):
        known = {"width_px": width_px, "height_px": height_px, "posted_at": posted_at}
        index.write([record(f"i{number}", seed=number, **known)], [])

    def found(*ranges):
        return {int(h.image_id[1:]) for h in index.search(unit(1), 10, Condition(ranges=ranges))}

    first_s = 1_793_491_200.0  # 2026-11-01T00:00:00Z
    assert found(Range("posted_s", first_s, first_s)) == {0, 1}
    assert found(Range("posted_s", first_s + 0.5, None)) == {3}
    assert found(Range("posted_s", None, first_s + 86_400.25)) == {0, 1, 3}
    assert found(Range("posted_s", None, first_s + 86_400.0)) == {0, 1}
    assert found(Range("width_px", 200)) == {1, 2, 3}
    assert found(Range("width_px", 200), Range("height_px", 200)) == {1, 2}
    assert found(Range("aspect", None, 0.5)) == {0, 4}
    assert found(Range("aspect", 1.0, 1.5)) == {1, 2}


def test_what_is_said_of_an_image_is_found_in_searches_and_lists(index):
    said = [
        {"title": "A red Fox, asleep", "author": "Zoë Müller", "source_url": "https://Photos.example/p/1?x=a%20b"},
        {"title": "赤い狐が眠る", "metadata": {"iso": 200, "lens.a[0]": "50 mm", "raw": True}},
        {"title": "fox", "metadata": {"iso": "200", "raw": None, "note": "x" * 500}, "author": "O'Neil, Tip"},
        {},
    ]
    for number, known in enumerate(said):
        index.write([record(f"i{number}", seed=number, **known)], [])

    def found(*groups):
        condition = Condition(terms=tuple(groups))
        hits = index.search(unit(1), 10, condition)
        listed, cursor = index.scroll(None, 10, condition)
        assert cursor is None and {h.image_id for h in listed} == {h.image_id for h in hits}
        return {int(h.image_id[1:]) for h in hits}

    assert found(*title_terms("FOX")) == {0, 2}
    assert found(*title_terms("asleep, fox!")) == {0}
    assert found(*title_terms("fo")) == set()
    assert found(*title_terms("狐")) == {1}
    assert found(*author_terms("zo\u0065\u0308")) == {0}
    assert found(*author_terms("tip o'neil")) == {2}
    assert found(*source_terms("photos.EXAMPLE")) == found(*source_terms("https://Photos.example/p/1?x=a%20b")) == {0}
    assert found(*source_terms("https://photos.example/p/2")) == set()
    assert (
        found(*metadata_terms("iso", "200")) == found(*metadata_terms("iso", "2e2"), *title_terms("狐")) | {2} == {1, 2}
    )
    assert found(*metadata_terms("lens.a[0]", "50 mm")) == found(*metadata_terms("raw", "true")) == {1}
    assert found(*metadata_terms("raw", "null")) == found(*metadata_terms("note", "x" * 500)) == {2}
    assert found(*metadata_terms("note", "x" * 499)) == set()
    assert found(*word_terms("fox")) == {0, 2} and found(*word_terms("müller")) == found(*word_terms("zoë red")) == {0}
    assert found(*word_terms("MM")) == found(*word_terms("50 mm")) == found(*word_terms("狐 mm")) == {1}
    assert found(*word_terms("200")) == {2}, "a text, where the other is a number"


def test_what_is_said_may_be_unwanted(index):
    said = [{"title": "red fox"}, {"title": "red"}, {"author": "Red Fox"}, {"metadata": {"note": "fox"}}, {}]
    for number, known in enumerate(said):
        index.write([record(f"i{number}", seed=number, **known)], [])

    def found(*unsaid, terms=()):
        condition = Condition(terms=terms, unsaid=tuple(map(word_terms, unsaid)))
        return {int(hit.image_id[1:]) for hit in index.search(unit(1), 10, condition)}

    assert found("fox") == {1, 4}
    assert found("red fox") == {1, 3, 4}, "all of its words"
    assert found("red", "fox") == {4}
    assert found("fox", terms=title_terms("red")) == {1}


def test_a_list_is_cut_by_tags_and_bounds_too(index):
    for number in range(6):
        index.write([record(f"i{number}", seed=number, tags=("cat",) * (number % 2), width_px=10 * number + 1)], [])
    condition = Condition(((TagFilter(("cat",)),),), ranges=(Range("width_px", 20),))
    seen, cursor = [], None
    while True:
        page, cursor = index.scroll(cursor, 1, condition)
        seen += [hit.image_id for hit in page]
        if cursor is None:
            break
    assert sorted(seen) == ["i3", "i5"]
