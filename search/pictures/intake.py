"""Posted pictures as events: small ones inline, large ones stored under the data directory and referred to.

In: bytes, and what is said of them. Out: an ImagePosted event. Raises PolicyError for bytes beyond the limit and tags
that cannot be, UsageError for what the log would not take, StorageUnavailableError for a full disk.
"""

import hashlib
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from models.errors import PolicyError, UsageError
from models.tagging.memory.names import normalise_tag
from stream.events.mistakes import first_mistake
from stream.events.schema import Event, ImagePosted
from stream.pictures.store import storage_error
from stream.settings import Settings

E = TypeVar("E", bound=Event)
INLINE_BYTES = 900_000  # larger ones do not fit in a record of Kafka, which takes 1 MB


def event_of(kind: type[E], fields: Mapping[str, Any]) -> E:
    """The event that a request asks for: what the log takes, the API takes.

    Raises:
        UsageError: what the log would not take.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise UsageError(first_mistake(error.errors())) from None


def check_tags(tags: Iterable[str]) -> None:
    """Refuse tags that would become dead letters.

    Raises:
        PolicyError: one cannot be a tag.
    """
    for tag in tags:
        normalise_tag(tag)


def posted(settings: Settings, content: bytes, fields: Mapping[str, Any]) -> ImagePosted:
    """The event of a picture whose bytes are here; its id is their sha256 where none is given.

    Raises:
        PolicyError: too many bytes.
        UsageError: a field breaks its rule.
        StorageUnavailableError: the disk does not take them.
    """
    most = settings.ingest.max_image_bytes
    if len(content) > most:
        raise PolicyError(f"picture of {len(content)} bytes: expected at most {most}; make it smaller", "too_large")
    sha256 = hashlib.sha256(content).hexdigest()
    said = {"image_id": sha256, "sha256": sha256} | {name: value for name, value in fields.items() if value is not None}
    if len(content) <= min(INLINE_BYTES, settings.kafka.max_record_bytes * 9 // 10):
        return event_of(ImagePosted, said | {"content": content})
    event_of(ImagePosted, said | {"content": b""})  # checked before anything is stored
    return event_of(ImagePosted, said | {"dataref": _upload(settings, content, sha256).as_uri()})


def _upload(settings: Settings, content: bytes, sha256: str) -> Path:
    folder = settings.data_path.absolute() / "uploads"
    target = folder / f"{sha256}-{uuid.uuid4().hex}"  # for one event: it goes with the image of that event
    partial = target.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # the event that refers to it must not outlive it
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise storage_error("uploads", error) from error
    return target
