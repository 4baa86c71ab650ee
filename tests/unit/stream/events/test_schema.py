"""What an event may say."""

import pytest
from pydantic import ValidationError

from stream.events.schema import (
    EVENTS,
    MAX_SHOWN,
    MAX_TAGS_PER_EVENT,
    Clicked,
    Event,
    ImagePosted,
    Impression,
    PairClicked,
    TagOperationPosted,
    TagsApplied,
    TagsRemoved,
)
from stream.log.topics import SHAPES
from tests.strategies import EXAMPLES


def subclasses(cls):
    return [cls] + [deeper for sub in cls.__subclasses__() for deeper in subclasses(sub)]


def test_every_event_class_can_be_posted():
    assert {event for event in subclasses(Event) if "type" in vars(event)} == set(EVENTS.values())


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_events_are_frozen_and_know_their_key_and_topic(event):
    assert event.key()
    assert event.topic in {shape.name for shape in SHAPES}
    with pytest.raises(ValidationError):
        event.image_id = "other"


@pytest.mark.parametrize("said", [
    {"title": ""}, {"title": "x" * 1_001}, {"title": "a\x00"}, {"author": "\ud800"},
    {"source_url": "javascript:alert(1)"}, {"source_url": "example.org"}, {"source_url": "https://a b"},
    {"source_url": "https://" + "x" * 2_000},
    {"metadata": {str(n): n for n in range(51)}}, {"metadata": {"a": "x" * 8_000}}, {"metadata": {"a": {"b": 1}}},
    {"metadata": {"a": [1]}}, {"metadata": {"": 1}}, {"metadata": {"a": 10**400}}, {"metadata": {"a": float("nan")}},
    {"metadata": {"x" * 101: 1}}, {"metadata": [1]}, {"metadata": {"a": "\ud800"}},
])  # fmt: skip
def test_what_is_said_of_a_picture_is_bounded(said):
    with pytest.raises(ValidationError):
        ImagePosted(image_id="a", **said)


def test_metadata_stay_as_they_were_written():
    given = {"one": 1, "half": 0.5, "yes": True, "nothing": None, "text": "1"}
    kept = ImagePosted(image_id="a", metadata=given).metadata
    assert kept == given
    assert [type(value) for value in kept.values()] == [int, float, bool, type(None), str]


def test_all_that_happens_to_a_picture_has_one_key_and_one_topic():
    assert ImagePosted.topic == TagsApplied.topic == TagsRemoved.topic == "images"
    assert ImagePosted(image_id="a", content=b"").key() == TagsApplied(image_id="a", tags=()).key() == "a"


def test_clicks_of_one_session_have_one_key():
    page = Impression(impression_id="p", session_id="s", shown=("a",))
    assert page.key() == Clicked(impression_id="p", session_id="s", image_id="a").key() == "s"
    assert PairClicked(preferred="a", over="b").key() == "anonymous"


def test_picture_bytes_are_no_part_of_json_or_repr():
    event = ImagePosted(image_id="a", content=b"secret bytes")
    assert "secret" not in event.model_dump_json()
    assert "secret" not in repr(event)


@pytest.mark.parametrize("image_id", ["", "x" * 257, "a\nb", "tab\t", "\x7f", "\x00"])
def test_refuses_ids_that_no_log_line_could_show(image_id):
    with pytest.raises(ValidationError):
        TagsApplied(image_id=image_id, tags=("cat",))


@pytest.mark.parametrize("image_id", ["a", "x" * 256, "猫/1.png", "two words", "🐈‍⬛"])
def test_takes_ids_as_people_write_them(image_id):
    assert TagsApplied(image_id=image_id, tags=("cat",)).image_id == image_id


def test_limits_lists():
    TagsApplied(image_id="a", tags=("t",) * MAX_TAGS_PER_EVENT)
    with pytest.raises(ValidationError):
        TagsApplied(image_id="a", tags=("t",) * (MAX_TAGS_PER_EVENT + 1))
    with pytest.raises(ValidationError):
        TagsRemoved(image_id="a", tags=())
    with pytest.raises(ValidationError):
        Impression(impression_id="p", session_id="s", shown=("a",) * (MAX_SHOWN + 1))


@pytest.mark.parametrize("propensity", [0.0, 1e-50, -0.1, 1.1, float("nan")])
def test_a_propensity_is_a_probability(propensity):
    with pytest.raises(ValidationError):
        Impression(impression_id="p", session_id="s", shown=("a",), propensities=(propensity,))


def test_a_page_has_a_propensity_for_each_picture_or_none():
    with pytest.raises(ValidationError, match="1 propensities: expected 2, one for each picture shown"):
        Impression(impression_id="p", session_id="s", shown=("a", "b"), propensities=(0.5,))


def test_hashes_are_hex_in_lower_case():
    assert ImagePosted(image_id="a", sha256="AB" * 32).sha256 == "ab" * 32
    with pytest.raises(ValidationError):
        ImagePosted(image_id="a", sha256="zz" * 32)


@pytest.mark.parametrize("fields", [
    {"kind": "merge", "tags": ("kitty", "moggy"), "into": "cat"},
    {"kind": "split", "tags": ("crane",), "into": "crane bird", "images": ("a",)},
    {"kind": "rename", "tags": ("kitty",), "into": "cat"},
    {"kind": "alias", "tags": ("kitty", "moggy"), "into": "cat"},
    {"kind": "forget", "tags": ("kitty", "moggy")},
    {"kind": "imply", "tags": ("cat",), "into": "animal"},
    {"kind": "undo", "target": "op-1"},
    {"kind": "revoke", "said_by": "bot"},
])  # fmt: skip
def test_an_operation_takes_what_its_kind_needs_and_nothing_else(fields):
    assert TagOperationPosted(operation_id="s", **fields).key() == "s"
    for missing in fields.keys() - {"kind"}:
        with pytest.raises(ValidationError, match=f"{fields['kind']}: expected .*, nothing else; correct the event"):
            TagOperationPosted(operation_id="s", **{name: value for name, value in fields.items() if name != missing})
    others = {
        "tags": ("cat", "dog"), "into": "x", "images": ("a",), "target": "op-1", "said_by": "x",
        "since": "2026-11-21T12:00:00Z",
    }  # fmt: skip
    for name, value in others.items():
        if name not in fields and (fields["kind"], name) != ("revoke", "since"):
            with pytest.raises(ValidationError, match="nothing else"):
                TagOperationPosted(operation_id="s", **fields, **{name: value})


@pytest.mark.parametrize("kind", ["split", "rename", "imply"])
def test_some_operations_take_one_tag_only(kind):
    images = ("a",) if kind == "split" else ()
    with pytest.raises(ValidationError, match="one tag, "):
        TagOperationPosted(operation_id="s", kind=kind, tags=("cat", "dog"), into="x", images=images)


@pytest.mark.parametrize("fields", [
    {"operation_id": "s", "kind": "melt", "tags": ("cat",)},
    {"operation_id": "", "kind": "forget", "tags": ("cat",)},
    {"operation_id": "\0s", "kind": "forget", "tags": ("cat",)},
    {"kind": "forget", "tags": ("cat",)},
    {"operation_id": "s", "kind": "forget", "tags": ("cat",) * (MAX_TAGS_PER_EVENT + 1)},
    {"operation_id": "s", "kind": "split", "tags": ("cat",), "into": "x", "images": ("a",) * 1_001},
    {"operation_id": "s", "kind": "revoke", "said_by": "bot", "since": "yesterday"},
    {"operation_id": "s", "kind": "revoke", "said_by": "bot", "since": "2026-11-21T12:00:00"},
])  # fmt: skip
def test_refuses_operations_that_are_none(fields):
    with pytest.raises(ValidationError):
        TagOperationPosted(**fields)
