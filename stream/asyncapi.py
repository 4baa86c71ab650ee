"""The AsyncAPI 3 document of our topics: `python -m stream.asyncapi > docs/asyncapi.json`.

In: the event types, the topics. Out: one JSON document with a channel per topic and the headers, key, payload schema
and an example of every message. A test compares it with the committed file and with records as `codec` writes them.
Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import json
import sys
from collections.abc import Iterable
from typing import Any

from stream.events import schema as events
from stream.events.codec import ATTRIBUTE_NAMES, IMAGE_ATTRIBUTES, JSON, MAX_ATTRIBUTE_CHARS, SPEC_VERSION, encode
from stream.events.example import CONTENT_TYPE, EXAMPLE_HEADER, EXAMPLE_LAYOUT, OPERATION_HEADER, TYPE
from stream.log.dead_letter import ORIGIN, REASON, REPLAYED, TEXT
from stream.log.topics import SHAPES, TopicShape, full_name
from stream.settings import Settings

Schema = dict[str, Any]

KEYS = {
    "images": "image_id: all that happens to one picture stays in one order",
    "operations": "operation_id; the topic has one partition, all operations have one order",
    "clicks": "session_id; the topic has one partition, so that a replay trains the ranker on the same steps",
    "examples": "image_id or operation_id; the topic has one partition, the totally ordered training log",
    "models": "the model's name; the topic is compacted",
    "topics": "the id of the topic that grew; the topic is compacted",
    "drift": "the tag; its id names tag and position, so one that comes twice is known",
}
EXAMPLES: tuple[events.Event, ...] = (
    events.ImagePosted(
        image_id="cat-1", media_type="image/jpeg", sha256="9f" * 32, tags=("cat", "red panda"), title="Cat on a wall"
    ),
    events.ImageDeleted(image_id="cat-1"),
    events.TagsApplied(image_id="cat-1", tags=("cat",), by="user-7"),
    events.WaitingEnded(image_id="dog-7"),
    events.ImageDecoded(
        image_id="cat-2", of=4711, failure="decode_timeout", text="png: expected to decode within 10 s"
    ),
    events.TagsRemoved(image_id="cat-1", tags=("dog",), by="user-7"),
    events.TagsRevoked(image_id="cat-1", revocation="revoke-1", said_by="bot-3", since="2026-11-21T12:00:00Z"),
    events.TagOperationPosted(operation_id="op-1", kind="merge", tags=("kitty", "moggy"), into="cat", by="user-7"),
    events.Impression(
        impression_id="page-1", session_id="s1", shown=("cat-1", "dog-1"), query="tag:cat", ranker_version=12
    ),
    events.Clicked(impression_id="page-1", session_id="s1", image_id="dog-1"),
    events.PairClicked(session_id="s1", preferred="cat-1", over="dog-1"),
    events.ModelPublished(model="tagger", version=3, uri="file:///data/models/tagger/3.safetensors", sha256="0" * 64),
    events.TopicGrown(topic_id="BAs1rMYQQoiIPsYc1uLmDA", partitions=(4, 8)),
    events.TagDrifted(tag="mask", learned=20_480, loss_before=0.21, loss_after=0.64),
)
DEAD_LETTERS: dict[str, dict[str, Any]] = {
    "DeadLetter": {
        "title": "DeadLetter",
        "summary": "A record no step could take: its own key, value and headers, and why.",
        "headers": {
            "type": "object",
            "properties": {
                REASON: {"type": "string", "description": "reason code, e.g. not_an_image"},
                TEXT: {"type": "string", "description": "one sentence for people"},
                ORIGIN: {"type": "string", "description": "partition/version/offset it was read from"},
            },
            "required": [REASON, TEXT, ORIGIN],
        },
        "payload": {"description": "the original value, byte for byte"},
    },
    "ReplayMark": {
        "title": "ReplayMark",
        "summary": "Written by `mekiki dlq replay`: the named dead letter was posted again.",
        "headers": {"type": "object", "properties": {REPLAYED: {"type": "string"}}, "required": [REPLAYED]},
        "payload": {"type": "null"},
    },
}


def document(settings: Settings | None = None) -> dict[str, Any]:
    """The whole document; topic names as these settings give them."""
    messages = {shape.name: _messages(shape.name) for shape in SHAPES}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "mekiki",
            "version": "1",
            "description": (
                "CloudEvents 1.0 over Kafka. Records are described in binary mode (ce_* headers, value = data); the "
                "same events are read in structured mode (content-type application/cloudevents+json). "
                "(ce_source, ce_id) identifies an event: a retry with the same pair is applied once."
            ),
            "license": {"name": "MIT"},
        },
        "defaultContentType": JSON,
        "channels": {s.name: _channel(settings or Settings(), s, messages[s.name]) for s in SHAPES},
        "operations": dict(_operation(shape.name) for shape in SHAPES),
        "components": {
            "messages": {name: message for group in messages.values() for name, message in group.items()},
            "schemas": {"ExampleHeader": EXAMPLE_HEADER, "OperationHeader": OPERATION_HEADER},
        },
    }


def _channel(settings: Settings, shape: TopicShape, messages: Iterable[str]) -> dict[str, Any]:
    binding: dict[str, Any] = {"bindingVersion": "0.5.0", "partitions": shape.partitions or settings.kafka.partitions}
    if shape.config:
        binding["topicConfiguration"] = {
            name: [value] if name == "cleanup.policy" else int(value) for name, value in shape.config.items()
        }
    return {
        "address": full_name(settings, shape.name),
        "description": KEYS.get(shape.name, "records no step could take, with the key and value they came with"),
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": binding},
    }


def _operation(topic: str) -> tuple[str, dict[str, Any]]:
    action = "receive" if topic in ("images", "operations", "clicks") else "send"
    return action + topic.title().replace(".", ""), {"action": action, "channel": {"$ref": f"#/channels/{topic}"}}


def _messages(topic: str) -> dict[str, dict[str, Any]]:
    """What travels on a topic, by name."""
    if topic.endswith(".dlq"):
        return DEAD_LETTERS
    if topic == "examples":
        return {"Example": _message(TYPE, "Example", CONTENT_TYPE, topic) | {
            "summary": "Internal: what the tag learner learns. Only ingest workers write it.",
            "payload": {"type": "string", "format": "binary", "description": EXAMPLE_LAYOUT},
        }}  # fmt: skip
    found = {type(example).__name__: _event(example) for example in EXAMPLES if example.topic == topic}
    if topic == "images":
        reference = events.ImagePosted(image_id="cat-1", dataref="file:///pictures/cat.jpg", sha256="9f" * 32)
        found["ImagePostedByReference"] = _message(events.ImagePosted.type, "ImagePosted as JSON", JSON, topic) | {
            "summary": "A picture by reference (claim check): a JSON body with dataref and sha256 instead of bytes.",
            "payload": _payload(events.ImagePosted),
            "examples": [{"payload": reference.model_dump(mode="json", exclude_none=True)}],
        }
    return found


def _message(kind: str, title: str, content_type: str, topic: str) -> dict[str, Any]:
    key = {"type": "string", "description": KEYS[topic]}
    return {
        "name": kind,
        "title": title,
        "contentType": content_type,
        "headers": _headers(kind, content_type),
        "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}},
    }


def _event(example: events.Event) -> dict[str, Any]:
    kind = type(example)
    _, value, headers = encode(example, source="/shop/eu", event_id="0001")
    shown: dict[str, Any] = {"headers": {name: raw.decode() for name, raw in headers}}
    message = _message(kind.type, kind.__name__, JSON, kind.topic) | {"summary": (kind.__doc__ or "").strip()}
    if isinstance(example, events.ImagePosted):
        message["contentType"] = "application/octet-stream"
        message["headers"] = _image_headers()
        message["payload"] = {"type": "string", "format": "binary", "description": "the picture's bytes, or nothing"}
    else:
        shown["payload"] = json.loads(value)
        message["payload"] = _payload(kind)
    return message | {"examples": [shown]}


def _payload(kind: type[events.Event]) -> Schema:
    schema = kind.model_json_schema()
    schema["properties"].pop("content", None)
    return schema


def _headers(kind: str, content_type: str) -> Schema:
    text = {"type": "string", "minLength": 1, "maxLength": MAX_ATTRIBUTE_CHARS}
    return {
        "type": "object",
        "properties": {
            "ce_specversion": {"const": SPEC_VERSION},
            "ce_id": text,
            "ce_source": text,
            "ce_type": {"const": kind},
            "ce_time": {"type": "string", "format": "date-time"},
            "content-type": {"type": "string", "examples": [content_type]},
        },
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"],
    }


def _image_headers() -> Schema:
    """An image's fields are CloudEvents attributes: its value is the picture and nothing else."""
    schema, fields = _headers(events.ImagePosted.type, "image/jpeg"), _payload(events.ImagePosted)["properties"]
    schema["properties"]["ce_subject"] = fields["image_id"] | {
        "description": "image_id; where it is missing, the record's key is taken"
    }
    schema["properties"] |= {
        f"ce_{ATTRIBUTE_NAMES.get(name, name)}": _attribute(fields[name]) for name in IMAGE_ATTRIBUTES
    }
    return schema


def _attribute(field: Schema) -> Schema:
    """The form of a field as an attribute, which is always text."""
    about = {name: field[name] for name in ("description",) if name in field}
    if field.get("type") == "boolean":
        return {"enum": ["true", "false"], **about}
    if field.get("type") in ("array", "object"):
        return {"type": "string", "contentMediaType": JSON, "contentSchema": field}
    text: Schema = next(form for form in field.get("anyOf", [field]) if form.get("type") == "string")
    return text | about


def text() -> str:
    """The document as the committed file has it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
