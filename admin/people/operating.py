"""How an operation on tags is posted, and what came of it awaited; and how a person is asked before it.

In: what a command was given. Out: an event on the log, and a sentence. Raises UsageError for what is refused.
"""

import sys
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer
from pydantic import ValidationError

from admin.connect import Api, client_settings
from admin.console import out
from admin.people.importing.send import SOURCE
from admin.people.say import send
from models.errors import InfrastructureError, NotFoundError, UsageError
from models.tagging.examples import OperationKind
from models.tagging.memory.names import normalise_tag
from stream.events.mistakes import first_mistake
from stream.events.schema import TagOperationPosted

POLL_S = 0.1  # between two looks at what came of an operation


@dataclass(frozen=True)
class Asked:
    """How an operation is asked for: whether and how long to wait for it, and of which service."""

    wait: bool
    timeout_s: float
    data_dir: Path | None


def operate(
    kind: OperationKind, tags: list[str], into: str, ask: Asked, images: tuple[str, ...] = (), target: str = ""
) -> None:
    """Post an operation on tags, and say what came of it.

    Raises:
        UsageError: it cannot be one, or was refused.
        InfrastructureError: the search API does not serve it in time.
    """
    names = {normalise_tag(tag) for tag in tags}
    if into and names == {normalise_tag(into)}:
        raise UsageError(f"{kind} {', '.join(tags)}: expected another tag than {into!r}; name two tags")
    operation_id = f"{kind}-{uuid.uuid4().hex[:12]}"
    fields: dict[str, Any] = {"tags": tuple(tags), "into": into, "images": images, "target": target}
    try:
        event = TagOperationPosted(operation_id=operation_id, kind=kind, by=SOURCE, **fields)
    except ValidationError as error:
        raise UsageError(sentence(error)) from None
    settings = client_settings(ask.data_dir)
    api = Api(settings) if ask.wait else None
    send(settings, event)
    if api is None:
        out.print(f"{operation_id}: posted; `mekiki tags history` shows what came of it", markup=False)
        return
    row = outcome_of(api, operation_id, ask.timeout_s)
    if not row["in_force"] and row["outcome"] != "undone":
        raise UsageError(f"{operation_id}: refused, {row['outcome']}")
    moved = f", {row['images_moved']} pictures moved" if kind == "split" else ""
    out.print(f"{operation_id}: {row['outcome']}{moved}", markup=False)


def sentence(error: ValidationError) -> str:
    """What is wrong with an event, in words."""
    return first_mistake(error.errors(), "operation")


def outcome_of(api: Api, operation_id: str, timeout_s: float) -> dict[str, Any]:
    """What came of an operation, as soon as the search API serves it."""
    until_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while True:
        try:
            row: dict[str, Any] = api.get(f"/v1/operations/{quote(operation_id, safe='')}")
            return row
        except (NotFoundError, InfrastructureError) as error:
            if time.monotonic() >= until_s:
                raise InfrastructureError(
                    f"{operation_id}: posted, but not served within {timeout_s:g} s ({error}); `mekiki status` shows "
                    "how far the learner is"
                ) from None
        pause.wait(POLL_S)


def agree(what: str, *, yes: bool) -> None:
    """Ask whether to go on; `yes` says so beforehand.

    Raises:
        UsageError: the answer is no, or there is no terminal to ask at.
    """
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{what}: expected a yes; --yes gives it. Nothing was posted")
    if not typer.confirm(f"{what}; go on?", err=True):
        raise UsageError(f"{what}: not done, nothing was posted")


def taken_along(api: Api, tags: list[str], into: str) -> str:
    """What tags would take with them into the tag that they are to mean, as a sentence; empty if nothing."""
    target = _known(api, into)
    name = target["name"] if target else normalise_tag(into)
    rows = [row for row in (_known(api, tag) for tag in tags) if row and row["name"] != name]
    found = [f"{row['name']} {' and '.join(parts)}" for row in rows if (parts := _parts(row))]
    return f"alias {', '.join(tags)} -> {into}: {'; '.join(found)}" if found else ""


def _known(api: Api, tag: str) -> dict[str, Any] | None:
    try:
        row: dict[str, Any] = api.get(f"/v1/tags/{quote(tag, safe='')}")
        return row
    except NotFoundError:
        return None


def _parts(row: dict[str, Any]) -> list[str]:
    count = row["tagged"]
    parts = [f"is on {count} picture{'s' * (count != 1)}"] if count else []
    for words, field in (("is also called", "aliases"), ("implies", "implies"), ("is implied by", "implied_by")):
        if row[field]:
            parts.append(f"{words} {', '.join(row[field])}")
    return parts
