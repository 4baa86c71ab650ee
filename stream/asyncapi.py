"""The AsyncAPI 3 document of our topics: `python -m stream.asyncapi > docs/asyncapi.json`.

In: the event types, the topics. Out: one JSON document with a channel per topic and the headers, key, payload schema
and an example of every message. A test compares it with the committed file and with records as `codec` writes them.
Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import json
import sys
from typing import Any

from stream.events.codec import IMAGE_ATTRIBUTES, JSON, MAX_ATTRIBUTE_CHARS, SPEC_VERSION, encode
from stream.events.example import CONTENT_TYPE, EXAMPLE_HEADER, EXAMPLE_LAYOUT, OPERATION_HEADER, TYPE
from stream.events.schema import (
    EVENTS,
    Clicked,
    Event,
    ImageDeleted,
    ImagePosted,
    Impression,
    ModelPublished,
    PairClicked,
    TagDrifted,
    TagOperationPosted,
    TagsApplied,
    TagsRemoved,
    WaitingEnded,
)
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
    "drift": "the tag; its id names tag and position, so one that comes twice is known",
}
EXAMPLES: tuple[Event, ...] = (
    ImagePosted(image_id="cat-1", media_type="image/jpeg", sha256="9f" * 32, tags=("cat", "red panda")),
    ImageDeleted(image_id="cat-1"),
    TagsApplied(image_id="cat-1", tags=("cat",), by="user-7"),
    WaitingEnded(image_id="dog-7"),
    TagsRemoved(image_id="cat-1", tags=("dog",), by="user-7"),
    TagOperationPosted(operation_id="op-1", kind="merge", tags=("kitty", "moggy"), into="cat", by="user-7"),
    Impression(impression_id="page-1", session_id="s1", shown=("cat-1", "dog-1"), query="tag:cat", ranker_version=12),
    Clicked(impression_id="page-1", session_id="s1", image_id="dog-1"),
    PairClicked(session_id="s1", preferred="cat-1", over="dog-1"),
    ModelPublished(model="tagger", version=3, uri="file:///data/models/tagger/3.safetensors", sha256="0" * 64),
    TagDrifted(tag="mask", learned=20_480, loss_before=0.21, loss_after=0.64),
)


def document(settings: Settings | None = None) -> dict[str, Any]:
    """The whole document; topic names as these settings give them."""
    settings = settings or Settings()
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
        "channels": {shape.name: _channel(settings, shape) for shape in SHAPES},
        "operations": _operations(),
        "components": {
            "messages": _messages(),
            "schemas": {"ExampleHeader": EXAMPLE_HEADER, "OperationHeader": OPERATION_HEADER},
        },
    }


def _channel(settings: Settings, shape: TopicShape) -> dict[str, Any]:
    binding: dict[str, Any] = {"bindingVersion": "0.5.0", "partitions": shape.partitions or settings.kafka.partitions}
    if shape.config:
        binding["topicConfiguration"] = {
            name: [value] if name == "cleanup.policy" else int(value) for name, value in shape.config.items()
        }
    return {
        "address": full_name(settings, shape.name),
        "description": KEYS.get(shape.name, "records no step could take, with the key and value they came with"),
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _names(shape)},
        "bindings": {"kafka": binding},
    }


def _names(shape: TopicShape) -> list[str]:
    if shape.name.endswith(".dlq"):
        return ["DeadLetter", "ReplayMark"]
    if shape.name == "examples":
        return ["Example"]
    names = [event.__name__ for event in EVENTS.values() if event.topic == shape.name]
    return [*names, "ImagePostedByReference"] if shape.name == "images" else names


def _operations() -> dict[str, Any]:
    found = {}
    for shape in SHAPES:
        action = "receive" if shape.name in ("images", "operations", "clicks") else "send"
        name = action + "".join(part.capitalize() for part in shape.name.split("."))
        found[name] = {"action": action, "channel": {"$ref": f"#/channels/{shape.name}"}}
    return found


def _messages() -> dict[str, Any]:
    messages = {type(example).__name__: _message(example) for example in EXAMPLES}
    reference = ImagePosted(image_id="cat-1", dataref="file:///pictures/cat.jpg", sha256="9f" * 32)
    messages["ImagePostedByReference"] = {
        **_form(ImagePosted.type, "ImagePosted as JSON", JSON, "images"),
        "summary": "A picture by reference (claim check): a JSON body with dataref and sha256 instead of bytes.",
        "payload": _payload(ImagePosted),
        "examples": [{"payload": reference.model_dump(mode="json", exclude_none=True)}],
    }
    messages["Example"] = {
        **_form(TYPE, "Example", CONTENT_TYPE, "examples"),
        "summary": "Internal: what the tag learner learns. Only ingest workers write it.",
        "payload": {"type": "string", "format": "binary", "description": EXAMPLE_LAYOUT},
    }
    return messages | _dead_letters()


def _form(kind: str, title: str, content_type: str, topic: str) -> dict[str, Any]:
    key = {"type": "string", "description": KEYS[topic]}
    return {
        "name": kind,
        "title": title,
        "contentType": content_type,
        "headers": _headers(kind, content_type),
        "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}},
    }


def _message(example: Event) -> dict[str, Any]:
    kind = type(example)
    _, value, written = encode(example, source="/shop/eu", event_id="0001")
    shown: dict[str, Any] = {"headers": {name: raw.decode() for name, raw in written}}
    message = _form(kind.type, kind.__name__, JSON, kind.topic) | {"summary": (kind.__doc__ or "").strip()}
    if isinstance(example, ImagePosted):
        message["contentType"] = "application/octet-stream"
        message["headers"] = _image_headers()
        message["payload"] = {"type": "string", "format": "binary", "description": "the picture's bytes, or nothing"}
    else:
        shown["payload"] = json.loads(value)
        message["payload"] = _payload(kind)
    return message | {"examples": [shown]}


def _payload(kind: type[Event]) -> Schema:
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
    schema, fields = _headers(ImagePosted.type, "image/jpeg"), _payload(ImagePosted)["properties"]
    schema["properties"]["ce_subject"] = fields["image_id"] | {
        "description": "image_id; where it is missing, the record's key is taken"
    }
    schema["properties"] |= {f"ce_{name}": _attribute(fields[name]) for name in IMAGE_ATTRIBUTES}
    return schema


def _attribute(field: Schema) -> Schema:
    """The form of a field as an attribute, which is always text."""
    about = {name: field[name] for name in ("description",) if name in field}
    if field.get("type") == "boolean":
        return {"enum": ["true", "false"], **about}
    if field.get("type") == "array":
        return {"type": "string", "contentMediaType": JSON, "contentSchema": field}
    text: Schema = next(form for form in field.get("anyOf", [field]) if form.get("type") == "string")
    return text | about


def _dead_letters() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "DeadLetter": {
            "title": "DeadLetter",
            "summary": "A record no step could take: its own key, value and headers, and why.",
            "headers": {
                "type": "object",
                "properties": {
                    REASON: text | {"description": "reason code, e.g. not_an_image"},
                    TEXT: text | {"description": "one sentence for people"},
                    ORIGIN: text | {"description": "partition/version/offset it was read from"},
                },
                "required": [REASON, TEXT, ORIGIN],
            },
            "payload": {"description": "the original value, byte for byte"},
        },
        "ReplayMark": {
            "title": "ReplayMark",
            "summary": "Written by `mekiki dlq replay`: the named dead letter was posted again.",
            "headers": {"type": "object", "properties": {REPLAYED: text}, "required": [REPLAYED]},
            "payload": {"type": "null"},
        },
    }


def text() -> str:
    """The document as the committed file has it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
