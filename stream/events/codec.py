"""CloudEvents 1.0 over Kafka: bytes <-> event.

In: key, headers and value of a Kafka record, in binary mode (`ce_*` headers, value = data) or structured mode
(`application/cloudevents+json`). Out: an `Envelope`. Raises SchemaError with a reason code, PolicyError for limits.
Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

import base64
import binascii
import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from models.errors import SchemaError
from stream.events.mistakes import first_mistake
from stream.events.schema import EVENTS, Event, ImagePosted

SPEC_VERSION = "1.0"
STRUCTURED = "application/cloudevents+json"
JSON = "application/json"
MAX_ATTRIBUTE_CHARS = 2_000  # of id and source, which de-duplication keeps
# Fields of a posted image that travel as CloudEvents extension attributes: all but subject, value and content type.
IMAGE_ATTRIBUTES = tuple(name for name in ImagePosted.model_fields if name not in ("image_id", "content", "media_type"))
ATTRIBUTE_NAMES = {"source_url": "sourceurl"}  # CloudEvents allows letters and digits alone; we read both
_FLAGS = {name for name in IMAGE_ATTRIBUTES if ImagePosted.model_fields[name].annotation is bool}
_FLAG_WORDS = dict.fromkeys(("true", "yes", "on", "1", "t", "y"), True) | dict.fromkeys(
    ("false", "no", "off", "0", "f", "n"), False
)
_JSON_FIELDS = {"tags": "list of strings", "metadata": "object of plain values"}
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII
)  # RFC 3339, section 5.6

_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # as in the type system of CloudEvents

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True)
class Envelope:
    """An event with its CloudEvents identity; (source, id) is what de-duplication goes by."""

    id: str
    source: str
    event: Event
    time: str | None = None

    @property
    def identity(self) -> str:
        """`source` and `id` in one string, no two pairs in the same."""
        return f"{len(self.source)}:{self.source} {self.id}"


def identity_hash(envelope: Envelope) -> str:
    """Of the identity, 16 hex digits: what the state of an image remembers of its last events."""
    return hashlib.sha256(envelope.identity.encode()).hexdigest()[:16]


def encode(event: Event, *, source: str, event_id: str | None = None) -> tuple[bytes, bytes, Headers]:
    """Write an event in binary mode: Kafka key, value and headers."""
    headers: Headers = [
        ("ce_specversion", SPEC_VERSION.encode()),
        ("ce_id", (event_id or str(uuid.uuid4())).encode()),
        ("ce_source", source.encode()),
        ("ce_type", event.type.encode()),
    ]
    if isinstance(event, ImagePosted):
        return event.key().encode(), event.content or b"", headers + _image_headers(event)
    headers.append(("content-type", JSON.encode()))
    return event.key().encode(), event.model_dump_json(exclude_none=True).encode(), headers


def _image_headers(event: ImagePosted) -> Headers:
    headers: Headers = [("ce_subject", event.image_id.encode())]
    if event.media_type:
        headers.append(("content-type", event.media_type.encode()))
    for name in IMAGE_ATTRIBUTES:
        if value := getattr(event, name):
            plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            headers.append((f"ce_{ATTRIBUTE_NAMES.get(name, name)}", plain.encode()))
    return headers


def decode(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> Envelope:
    """Read a record in either mode.

    Raises:
        SchemaError: reason `missing_headers`, `bad_header`, `unknown_type`, `bad_json` or `bad_event`.
    """
    try:
        return _decode(key, value, headers)
    except RecursionError:
        raise SchemaError("value: nested too deeply; post a flat JSON object", reason="bad_json") from None


def _decode(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> Envelope:
    named = {name.lower(): _text(raw, name) for name, raw in headers if name.lower() not in _DROPPED}
    content_type = named.get("content-type", "").split(";")[0].strip().lower()
    if content_type == STRUCTURED:
        attributes, data = _structured(value or b"")
    else:
        attributes = {name[3:]: text for name, text in named.items() if name.startswith("ce_")}
        attributes["datacontenttype"] = content_type
        data = value or b""
    return _envelope(key, attributes, data)


_DROPPED = frozenset({"traceparent", "tracestate"})


def _text(raw: bytes | None, name: str) -> str:
    try:
        return (raw or b"").decode()
    except UnicodeDecodeError:
        if name.lower().startswith(("ce_", "content-type")):
            raise SchemaError(f"header {name}: expected UTF-8; encode it so", reason="bad_header") from None
        return ""


def _structured(value: bytes) -> tuple[dict[str, str], bytes]:
    body = _json(value)
    data = body.pop("data", None)
    encoded = body.pop("data_base64", None)
    present = {name: item for name, item in body.items() if item is not None}  # null means unset
    attributes = {name: item if isinstance(item, str) else json.dumps(item) for name, item in present.items()}
    if isinstance(encoded, str):
        try:
            return attributes, base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise SchemaError("data_base64: expected base64; encode the bytes so", reason="bad_json") from None
    return attributes, b"" if data is None else json.dumps(data).encode()


def _json(value: bytes) -> dict[str, Any]:
    try:
        body = json.loads(value)
    except ValueError as error:
        raise SchemaError(f"value: expected JSON ({str(error)[:200]}); post a JSON object", reason="bad_json") from None
    if not isinstance(body, dict):
        raise SchemaError(f"value: expected a JSON object, found {type(body).__name__}", reason="bad_json")
    return body


def _envelope(key: bytes | None, attributes: Mapping[str, str], data: bytes) -> Envelope:
    missing = [name for name in ("specversion", "id", "source", "type") if not attributes.get(name)]
    if missing:
        wanted = ", ".join(f"ce_{name}" for name in missing)
        raise SchemaError(f"headers: expected {wanted}; post a CloudEvents 1.0 record", reason="missing_headers")
    if attributes["specversion"] != SPEC_VERSION:
        raise SchemaError(
            f"ce_specversion {attributes['specversion'][:20]!r}: expected {SPEC_VERSION}", reason="bad_header"
        )
    _check_identity(attributes)
    kind = EVENTS.get(attributes["type"])
    if kind is None:
        raise SchemaError(
            f"ce_type {attributes['type'][:100]!r}: expected one of {', '.join(EVENTS)}", reason="unknown_type"
        )
    is_json = attributes.get("datacontenttype", "").split(";")[0].strip().lower() in ("", JSON) and data[:1] in (
        b"{",
        b"[",
    )
    if kind is ImagePosted and not is_json:
        fields = _image_fields(key, attributes, data)
    else:
        fields = _json(data)
    return Envelope(attributes["id"], attributes["source"], _build(kind, fields), _time(attributes.get("time")))


def _check_identity(attributes: Mapping[str, str]) -> None:
    """Refuse what could not be stored: they go into hashes, checkpoints and payloads as they are."""
    for name in ("id", "source"):
        text = attributes[name]
        if len(text) > MAX_ATTRIBUTE_CHARS or _FORBIDDEN.search(text):
            raise SchemaError(
                f"ce_{name} {text[:40]!r}: expected at most {MAX_ATTRIBUTE_CHARS} characters, no control characters",
                reason="bad_header",
            )


def _time(text: str | None) -> str | None:
    """A time as it was written; a leap second, which no calendar of ours has, is the second before it."""
    if text is None:
        return None
    try:
        found = _TIME.fullmatch(text)
        if found is None:
            raise ValueError
        if found[2] == "60":
            text = f"{text[: found.start(2)]}59{text[found.end(2) :]}"
        datetime.fromisoformat(text.upper())
    except ValueError:
        raise SchemaError(
            f"ce_time {text[:40]!r}: expected RFC 3339, e.g. 2026-11-21T12:00:00Z; correct it or leave it out",
            reason="bad_header",
        ) from None
    return text


def _image_fields(key: bytes | None, attributes: Mapping[str, str], data: bytes) -> dict[str, Any]:
    given = {ATTRIBUTE_NAMES.get(name, name): name for name in IMAGE_ATTRIBUTES} | {n: n for n in IMAGE_ATTRIBUTES}
    fields = {name: _attribute(name, attributes[said]) for said, name in given.items() if said in attributes}
    fields["image_id"] = attributes.get("subject") or (key or b"").decode(errors="replace")
    fields["media_type"] = attributes.get("datacontenttype") or None
    if data or "dataref" not in fields:
        fields["content"] = data
    return fields


def _attribute(name: str, text: str) -> Any:
    if name in _FLAGS:
        flag = _FLAG_WORDS.get(text.strip().lower())
        if flag is None:
            raise SchemaError(f"ce_{name} {text[:40]!r}: expected true or false; correct it", reason="bad_header")
        return flag
    if name not in _JSON_FIELDS:
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise SchemaError(f"ce_{name}: expected a JSON {_JSON_FIELDS[name]}", reason="bad_json") from None


def _build(kind: type[Event], fields: dict[str, Any]) -> Event:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise SchemaError(f"{kind.type} {first_mistake(error.errors())}", reason="bad_event") from None
