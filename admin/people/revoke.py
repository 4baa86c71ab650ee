"""`mekiki tags revoke`, and its undo: what one tagger said is taken back, picture by picture.

In: who, and since when. Out: a note among the operations on tags, and an event for each picture, which ingest applies
in the order of the log. A command that was ended half way is run again: it finds what is left.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from pydantic import ValidationError

from admin.connect import Api, client_settings
from admin.console import out
from admin.options import DataDir
from admin.people.importing.send import SOURCE
from admin.people.operating import POLL_S, agree, outcome_of, sentence
from models.errors import InfrastructureError, NotFoundError, UsageError
from stream.events.schema import TagOperationPosted, TagsRevoked
from stream.log.produce import LogWriter


def revoke(
    by: Annotated[str, typer.Option(help="Whose tags: by of the events that said them, or their source.")],
    since: Annotated[str, typer.Option(help="Only what was said from then on, RFC 3339.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be taken back, and post nothing.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the index shows nothing of it any more.")] = True,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.0, help="Seconds to wait at most.")] = 60.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Take back whatever one tagger said; tags that others said too stay."""
    revocation = f"revoke-{uuid.uuid4().hex[:12]}"
    try:
        note = TagOperationPosted(operation_id=revocation, kind="revoke", said_by=by, since=since, by=SOURCE)
    except ValidationError as error:
        raise UsageError(sentence(error)) from None
    settings = client_settings(data_dir)
    api = Api(settings)

    def said() -> Iterator[dict[str, Any]]:
        return _pages(api, "/v1/said", by=by, since=since or None)

    found = {row["image_id"]: row for row in said()}
    summary = _summary(found)
    if dry_run or not found:
        out.print(f"{by}: {summary}", markup=False)
        return
    agree(f"revoke {by}: {summary}", yes=yes)
    event = TagsRevoked(image_id="-", revocation=revocation, said_by=by, since=since, by=SOURCE)
    with closing(LogWriter(settings, SOURCE)) as writer:
        writer.send_event(note)
        _tell(writer, event, said, found, timeout_s if wait else None)
    if wait:
        outcome_of(api, revocation, timeout_s)
    out.print(f"{revocation}: {summary} taken back; `mekiki tags undo {revocation}` gives them back", markup=False)


def give_back(operation_id: str, timeout_s: float | None, data_dir: Path | None) -> None:
    """If an operation is a revoke, give every picture back what it took; of others nothing is done."""
    settings = client_settings(data_dir)
    api = Api(settings)
    try:
        row = api.get(f"/v1/operations/{quote(operation_id, safe='')}")
    except NotFoundError:
        return
    if row["kind"] != "revoke":
        return

    def taken() -> Iterator[dict[str, Any]]:
        return _pages(api, "/v1/revoked", revocation=operation_id)

    found = {row["image_id"]: row for row in taken()}
    event = TagsRevoked(image_id="-", revocation=operation_id, said_by=row["said_by"], undo=True, by=SOURCE)
    with closing(LogWriter(settings, SOURCE)) as writer:
        _tell(writer, event, taken, found, timeout_s)
    out.print(f"{operation_id}: given back on {_pictures(found)}", markup=False)


def _pages(api: Api, path: str, **asked: str | None) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = api.get(path, cursor=cursor, **asked)
        yield from page["images"]
        cursor = page["cursor"]
        if cursor is None:
            return


def _tell(
    writer: LogWriter,
    event: TagsRevoked,
    look: Callable[[], Iterator[dict[str, Any]]],
    found: dict[str, Any],
    timeout_s: float | None,
) -> None:
    """Post the event for each picture; until a look finds none, or only once where there is no time to wait."""
    told: set[str] = set()
    until_s, pause = time.monotonic() + (timeout_s or 0), threading.Event()
    while True:
        for image_id in sorted(found.keys() - told):  # what was said while we looked comes with a later look
            writer.send_event(event.model_copy(update={"image_id": image_id}))
        writer.flush()
        told |= found.keys()
        if timeout_s is None:
            return
        found = {row["image_id"]: row for row in look()}
        if not found:
            return
        if time.monotonic() >= until_s:
            raise InfrastructureError(
                f"{event.revocation}: posted for {len(told)} pictures, {len(found)} not done within "
                f"{timeout_s:g} s; `mekiki status` shows how far ingest is, and the same command finds what is left"
            )
        pause.wait(POLL_S)


def _summary(found: dict[str, Any]) -> str:
    tags, alone = (sum(len(row[name]) for row in found.values()) for name in ("tags", "alone"))
    return f"{_pictures(found)}, {tags} tag{'s' * (tags != 1)}, {alone} of them said by nobody else"


def _pictures(found: dict[str, Any]) -> str:
    return f"{len(found)} picture{'s' * (len(found) != 1)}"
