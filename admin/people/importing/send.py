"""Pictures into the log, in chunks: read, compared with what the index has, sent, acknowledged.

In: planned pictures. Out: one `Outcome` each. A file that cannot be read or sent is one of those; a broker that is away
raises BrokerUnavailableError, and what was not acknowledged is sent again by the next run.
"""

import contextlib
import hashlib
import json
import mimetypes
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from admin.connect import Api
from admin.people.files.labels import Said
from admin.people.importing.plan import Planned
from admin.people.importing.report import Outcome
from models.errors import PolicyError
from models.tagging.memory.names import normalise_tag
from stream.events.mistakes import first_mistake
from stream.events.schema import ImagePosted, TagsApplied
from stream.log.produce import LogWriter
from stream.settings import Settings

SOURCE = "mekiki/cli"
INLINE_BYTES = 900_000  # larger pictures go by dataref: brokers take records up to 1 MB
CHUNK_PICTURES, CHUNK_BYTES = 500, 32_000_000  # between two acknowledgements; bounds memory


@dataclass(frozen=True)
class Loaded:
    """A picture as it was read, and its event; without bytes where they are too large to travel inline."""

    planned: Planned
    event: ImagePosted
    sha256: str


@dataclass
class Sender:
    """Sends pictures.

    Attributes:
        writer: None for a dry run.
        api: whom to ask what is there already; None sends everything.
    """

    settings: Settings
    writer: LogWriter | None
    api: Api | None
    _hashes: dict[str, Path] = field(default_factory=dict)  # that are ids, and the file they are of

    def outcomes(self, planned: Sequence[Planned]) -> Iterator[list[Outcome]]:
        """What became of each picture, chunk by chunk; the next chunk is read while one is sent."""
        with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
            chunks = _chunks(planned)
            following = pool.submit(self._load, next(chunks, []))
            while loaded := following.result():
                following = pool.submit(self._load, next(chunks, []))
                yield self._send(loaded)

    def _load(self, chunk: Iterable[Planned]) -> list[Loaded | Outcome]:
        return [self._read(one) for one in chunk]

    def _read(self, one: Planned) -> Loaded | Outcome:
        most = self.settings.ingest.max_image_bytes
        try:
            size = one.path.stat().st_size
            if size > most:
                return _failed(one, f"{size} bytes, expected at most {most}; make it smaller")
            content = one.path.read_bytes()
        except OSError as error:
            return _failed(one, f"cannot be read ({error.strerror})")
        sha256 = hashlib.sha256(content).hexdigest()
        fields: dict[str, Any] = {
            "image_id": one.image_id or sha256, "media_type": mimetypes.guess_type(one.path.name)[0], "sha256": sha256,
            "tags": one.said.tags, "complete": one.said.complete, **one.said.details,
        }  # fmt: skip
        fits = size + len(json.dumps([one.said.tags, dict(one.said.details)])) <= INLINE_BYTES
        try:
            return Loaded(one, ImagePosted(**fields, content=content if fits else None), sha256)
        except ValidationError as error:
            return _failed(one, sentence(error))

    def _send(self, chunk: Sequence[Loaded | Outcome]) -> list[Outcome]:
        chunk = [self._once(one) for one in chunk]
        loaded = [one for one in chunk if isinstance(one, Loaded)]
        there = known(self.api, [one.event.image_id for one in loaded])
        done = [one if isinstance(one, Outcome) else self._tell(one, there.get(one.event.image_id)) for one in chunk]
        if self.writer is not None:
            self.writer.flush()
        return done

    def _once(self, one: Loaded | Outcome) -> Loaded | Outcome:
        """Where the hash is the id, the same bytes are one picture."""
        if isinstance(one, Outcome) or one.planned.image_id:
            return one
        first = self._hashes.setdefault(one.sha256, one.planned.path)
        if first == one.planned.path:
            return one
        return replace(_failed(one.planned, f"the same bytes as {first}"), outcome="skipped", image_id=one.sha256)

    def _tell(self, one: Loaded, there: Mapping[str, Any] | None) -> Outcome:
        """Send what the index does not have of a picture."""
        said = one.planned.said
        image_id = there["image_id"] if there is not None else one.event.image_id
        outcome = Outcome(
            str(one.planned.path), "already there", "; ".join(one.planned.notes), image_id, one.sha256, said.tags,
            str(uuid.uuid4()),
        )  # fmt: skip
        try:
            if there is None or there["sha256"] != one.sha256 or _says_more(said, there):
                return self._post(one, outcome)
            new = [tag for tag in said.tags if normalise_tag(tag) not in there["tags"]]
            if not new and (there["complete"] or not said.complete):
                return outcome
            if self.writer is not None:
                applied = TagsApplied(image_id=image_id, tags=tuple(new), by=SOURCE, complete=said.complete)
                self.writer.send_event(applied, event_id=outcome.event_id)
            return replace(outcome, reason="; ".join((*one.planned.notes, "tags added")))
        except PolicyError as error:
            return replace(outcome, outcome="failed", reason=str(error))
        except OSError as error:
            return replace(outcome, outcome="failed", reason=f"cannot be copied ({error.strerror})")

    def _post(self, one: Loaded, outcome: Outcome) -> Outcome:
        if self.writer is None:
            return replace(outcome, outcome="would be posted")
        event = one.event.model_copy(update={"image_id": outcome.image_id})
        if event.content is None:
            event = event.model_copy(update={"dataref": self._upload(one.planned.path, one.sha256).as_uri()})
        self.writer.send_event(event, event_id=outcome.event_id)
        return replace(outcome, outcome="posted")

    def _upload(self, file: Path, sha256: str) -> Path:
        """Put a large picture where the ingest worker may read it, unless its folder is allowed already."""
        real = file.resolve()
        if any(real.is_relative_to(root.expanduser().resolve()) for root in self.settings.ingest.dataref_roots):
            return real
        folder = self.settings.data_path.absolute() / "uploads"
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{sha256}-{uuid.uuid4().hex}{file.suffix.lower()}"  # for one event, with which it goes
        partial = target.with_suffix(".part")
        shutil.copyfile(real, partial)
        partial.replace(target)
        return target


def known(api: Api | None, image_ids: Sequence[str]) -> dict[str, Any]:
    """What the index has of these images, by the id that was asked for; nothing without an API."""
    if api is None or not image_ids:
        return {}
    answer: dict[str, Any] = api.post("/v1/images/known", json_body={"image_ids": list(image_ids)})
    return {one["asked"]: one for one in answer["images"]}


def sentence(error: ValidationError) -> str:
    """What the log would not take, and why."""
    said = first_mistake(error.errors(), "event")
    return f"{said}, --id or --id-from" if said.startswith("image_id") else said


def _says_more(said: Said, there: Mapping[str, Any]) -> bool:
    """Whether a title or the like is not in the index yet."""
    return there["state"] == "there" and any(there[name] != value for name, value in said.details.items())


def _chunks(planned: Sequence[Planned]) -> Iterator[list[Planned]]:
    chunk: list[Planned] = []
    size = 0
    for one in planned:
        with contextlib.suppress(OSError):  # said when it is read
            size += min(one.path.stat().st_size, 2 * INLINE_BYTES)
        chunk.append(one)
        if len(chunk) == CHUNK_PICTURES or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _failed(one: Planned, reason: str) -> Outcome:
    return Outcome(str(one.path), "failed", reason, one.image_id, tags=one.said.tags)
