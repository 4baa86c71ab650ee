"""CloudEvents over Kafka: what is written is read back, by us and by the CloudEvents project's own reader."""

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.errors import PoisonError, SchemaError
from stream.events.codec import STRUCTURED, Envelope, decode, encode
from stream.events.schema import ImagePosted, Impression, TagsApplied
from tests.fakes import encode_structured
from tests.strategies import EXAMPLES, by_reference, events, ids, inline, sources, tag_lists

TAGS = {"image_id": "cat-1", "tags": ["cat"]}


def headers(**changes):
    named = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/shop", "ce_type": TagsApplied.type}
    named |= {"content-type": "application/json"} | {name.replace("__", "-"): text for name, text in changes.items()}
    return [(name, text if isinstance(text, bytes) else text.encode()) for name, text in named.items() if text != ""]


def refused(value=json.dumps(TAGS).encode(), key=b"cat-1", **changes) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        decode(key, value, headers(**changes))
    return caught.value


# ---- round trips --------------------------------------------------------------------------------------------------


@given(events, sources, ids)
def test_binary_mode_gives_the_event_back(event, source, event_id):
    assert decode(*encode(event, source=source, event_id=event_id)) == Envelope(event_id, source, event)


@given(events, sources, ids)
def test_structured_mode_gives_the_event_back(event, source, event_id):
    assert decode(*encode_structured(event, source=source, event_id=event_id)) == Envelope(event_id, source, event)


@given(events)
def test_every_event_without_an_id_gets_one_of_its_own(event):
    first, second = (decode(*encode(event, source="/s")) for _ in range(2))
    assert first.id != second.id


@given(st.tuples(sources, ids), st.tuples(sources, ids))
@example(("a b", "c"), ("a", "b c"))
def test_identities_are_equal_only_where_source_and_id_are(one, other):
    event = EXAMPLES[TagsApplied.type]
    assert (Envelope(one[1], one[0], event).identity == Envelope(other[1], other[0], event).identity) == (one == other)


# ---- what other producers may do ----------------------------------------------------------------------------------


def test_header_names_may_have_any_case_and_content_types_parameters():
    read = decode(b"k", json.dumps(TAGS).encode(), [
        ("CE_SpecVersion", b"1.0"), ("Ce_Id", b"1"), ("CE_SOURCE", b"/s"), ("ce_Type", TagsApplied.type.encode()),
        ("Content-Type", b"application/json; charset=utf-8"),
    ])  # fmt: skip
    assert read.event == TagsApplied(**TAGS)


def test_an_image_without_a_subject_is_named_by_its_key():
    written = headers(ce_type=ImagePosted.type, content__type="image/png")
    assert decode(b"cat-1", b"\x89PNG", written).event == ImagePosted(
        image_id="cat-1", content=b"\x89PNG", media_type="image/png"
    )


@pytest.mark.parametrize("content_type", ["", "application/json", "application/json; charset=utf-8"])
def test_an_image_may_come_as_json_with_a_dataref(content_type):
    body = {"image_id": "cat-1", "dataref": "file:///p/1.png", "sha256": "0" * 64, "tags": ["cat"]}
    event = ImagePosted(**body)
    assert (
        decode(b"k", json.dumps(body).encode(), headers(ce_type=event.type, content__type=content_type)).event == event
    )
    structured = {"specversion": "1.0", "id": "1", "source": "/s", "type": event.type, "data": body}
    structured |= {"datacontenttype": content_type} if content_type else {}
    assert decode(b"k", json.dumps(structured).encode(), [("content-type", STRUCTURED.encode())]).event == event


def test_a_null_attribute_counts_as_missing():
    body = {"specversion": "1.0", "id": None, "source": "/s", "type": TagsApplied.type, "data": TAGS}
    with pytest.raises(SchemaError) as caught:
        decode(b"k", json.dumps(body).encode(), [("content-type", STRUCTURED.encode())])
    assert caught.value.reason == "missing_headers"
    assert "ce_id" in str(caught.value)


def test_headers_that_are_not_ours_are_not_read():
    read = decode(b"k", json.dumps(TAGS).encode(), [*headers(), ("traceparent", b"\xff"), ("x-team", b"\xff\xfe")])
    assert read.event == TagsApplied(**TAGS)


# ---- poison -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ce_specversion", "ce_id", "ce_source", "ce_type"])
def test_a_missing_header_is_named(name):
    error = refused(**{name: ""})
    assert error.reason == "missing_headers"
    assert name in str(error)


def test_no_headers_at_all():
    with pytest.raises(SchemaError) as caught:
        decode(None, None, [])
    assert caught.value.reason == "missing_headers"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ce_type": "com.example.other"}, "unknown_type"),
        ({"ce_specversion": "0.3"}, "bad_header"),
        ({"ce_id": b"\xff\xfe"}, "bad_header"),
        ({"content__type": b"\xff"}, "bad_header"),
        ({"ce_id": "x" * 2_001}, "bad_header"),
        ({"ce_source": "a\x00b"}, "bad_header"),
        ({"ce_time": "yesterday"}, "bad_header"),
        ({"value": b"{"}, "bad_json"),
        ({"value": b"not json"}, "bad_json"),
        ({"value": b""}, "bad_json"),
        ({"value": b"[1]"}, "bad_json"),
        ({"value": b"[" * 100_000}, "bad_json"),
        ({"value": b'{"a":' * 100_000}, "bad_json"),
        ({"value": b"\xff\xfe"}, "bad_json"),
        ({"value": b'{"image_id": "a"}'}, "bad_event"),
        ({"value": b'{"image_id": "", "tags": []}'}, "bad_event"),
        ({"value": b'{"image_id": "a\\u0007", "tags": []}'}, "bad_event"),
        ({"value": b'{"image_id": "\\ud800", "tags": []}'}, "bad_event"),
        ({"value": b'{"image_id": "a", "tags": ["x"], "colour": "red"}'}, "bad_event"),
        ({"value": b'{"image_id": "a", "tags": "cat"}'}, "bad_event"),
        ({"ce_type": ImagePosted.type, "value": b"\x89", "ce_tags": "cat"}, "bad_json"),
        ({"ce_type": ImagePosted.type, "value": b"\x89", "ce_tags": "[" * 100_000}, "bad_json"),
        ({"ce_type": ImagePosted.type, "value": b"\x89", "ce_tags": '{"a": 1}'}, "bad_event"),
        ({"ce_type": ImagePosted.type, "value": b"\x89", "ce_sha256": "abc"}, "bad_event"),
    ],
)
def test_poison_has_a_reason(changes, reason):
    assert refused(**changes).reason == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"nonsense", "bad_json"),
        (b"[]", "bad_json"),
        (b"{}", "missing_headers"),
        (json.dumps({"id": "\ud800", "source": "/s", "specversion": "1.0", "type": TagsApplied.type}), "bad_header"),
        (json.dumps({"id": "1", "source": "/s", "specversion": "1.0", "type": ImagePosted.type, "subject": "a",
                     "data_base64": "***"}), "bad_json"),
    ],
)  # fmt: skip
def test_poison_in_structured_mode_has_a_reason(body, reason):
    value = body if isinstance(body, bytes) else body.encode()
    with pytest.raises(SchemaError) as caught:
        decode(b"k", value, [("content-type", STRUCTURED.encode())])
    assert caught.value.reason == reason


@pytest.mark.parametrize(("written", "flag"), [
    ("true", True), ("True", True), ("TRUE", True), ("1", True), ("yes", True), ("on", True), (" y ", True),
    ("false", False), ("False", False), ("0", False), ("no", False), ("Off", False), ("n", False),
])  # fmt: skip
def test_yes_and_no_are_taken_as_people_write_them(written, flag):
    posted = headers(ce_type=ImagePosted.type, content__type="image/png", ce_complete=written)
    assert decode(b"k", b"\x89", posted).event.complete is flag


@pytest.mark.parametrize("written", ["2", "maybe", "truee", "はい", "null", "[]"])
def test_what_is_neither_yes_nor_no_is_refused(written):
    error = refused(value=b"\x89", ce_type=ImagePosted.type, content__type="image/png", ce_complete=written)
    assert (error.reason, str(error)[:11]) == ("bad_header", "ce_complete")


@pytest.mark.parametrize(("kind", "changed"), [
    (TagsApplied, {"complete": 0.0}), (TagsApplied, {"complete": "yes"}), (Impression, {"propensities": ["0.5"]}),
    (Impression, {"ranker_version": "3"}), (Impression, {"ranker_version": True}),
])  # fmt: skip
def test_a_value_of_another_json_type_is_refused(kind, changed):
    whole = (TAGS if kind is TagsApplied else {"impression_id": "i", "shown": ["a"]}) | changed
    assert next(iter(changed)) in str(refused(value=json.dumps(whole).encode(), ce_type=kind.type))


@pytest.mark.parametrize(("written", "kept"), [
    ("2026-11-21T12:00:00Z", None), ("2026-11-21t12:00:00.123456789z", None), ("2024-02-29T23:59:59-23:59", None),
    ("1990-12-31T23:59:60Z", "1990-12-31T23:59:59Z"), ("1990-12-31T15:59:60.5-08:00", "1990-12-31T15:59:59.5-08:00"),
])  # fmt: skip
def test_a_time_of_rfc_3339_is_taken(written, kept):
    posted = headers(ce_type=ImagePosted.type, content__type="image/png", ce_time=written)
    assert decode(b"k", b"\x89", posted).time == (kept or written)


@pytest.mark.parametrize("written", [
    "2026-11-21", "20261121T120000", "20261121T120000Z", "2026-11-21T12:00:00", "2026-11-21T12:00Z", "2026-W47-6",
    "2026-11-21 12:00:00Z", "2026-11-21T12:00:00,5Z", "2026-11-21T12:00:00+0100", "2026-11-21T12:00:00+01",
    "2026-11-21T24:00:00Z", "2026-02-29T12:00:00Z", "2026-11-21T12:00:00.Z", "２026-11-21T12:00:00Z",
    "2026-11-21T12:00:00Z ", "2026-11-21T12:00:00+24:00", "2026-11-21T12:00:00+01:00:30", "2026-11-21T12:60:00Z",
    "2026-11-21T12:00:00Z\n",
])  # fmt: skip
def test_any_other_time_is_refused(written):
    error = refused(value=b"\x89", ce_type=ImagePosted.type, content__type="image/png", ce_time=written)
    assert (error.reason, str(error)[:7]) == ("bad_header", "ce_time")


@pytest.mark.parametrize("name", ["ce_source_url", "ce_sourceurl"])
def test_what_is_said_of_a_picture_travels_in_headers(name):
    said = {"ce_title": "猫", "ce_author": "Ada", "ce_metadata": '{"n": 1, "ok": true}', name: "https://example.org/1"}
    event = decode(b"k", b"\x89", headers(ce_type=ImagePosted.type, content__type="image/png", **said)).event
    assert (event.title, event.author, event.source_url) == ("猫", "Ada", "https://example.org/1")
    assert event.metadata == {"n": 1, "ok": True}


@given(
    st.none() | st.binary(max_size=60),
    st.none() | st.binary(max_size=200) | st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ).map(lambda body: json.dumps(body).encode()),
    st.lists(st.tuples(
        st.sampled_from(["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_tags", "ce_time", "content-type", "x"]),
        st.sampled_from([b"1.0", ImagePosted.type.encode(), TagsApplied.type.encode(), STRUCTURED.encode()])
        | st.binary(max_size=20),
    )),
)  # fmt: skip
def test_any_record_is_an_event_or_poison(key, value, written):
    try:
        decode(key, value, written)
    except PoisonError as error:
        assert error.reason and str(error).encode()  # it goes into a header


@given(inline, tag_lists)
def test_binary_image_payloads_are_the_bytes_themselves(event, tags):
    assert encode(event, source="/s")[1] == event.content
    assert base64.b64decode(json.loads(encode_structured(event, source="/s")[1])["data_base64"]) == event.content


@given(by_reference)
def test_a_claim_check_carries_no_bytes(event):
    _, value, written = encode(event, source="/s")
    assert not value
    assert dict(written)["ce_dataref"].decode() == event.dataref
