"""`mekiki tags ...`: what the tag learner knows, and operations on the tags themselves.

An operation is an event on the log like any other; the learner carries it out in log order, or says why not.
"""

import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from pydantic import ValidationError

from admin.connect import Api, client_settings
from admin.console import out, print_json, print_table
from admin.options import AsJson, DataDir, TimeoutS, Wait
from admin.people.importing.send import SOURCE
from admin.people.say import send
from models.errors import InfrastructureError, NotFoundError, UsageError
from models.tagging.examples import OperationKind
from models.tagging.memory.names import normalise_tag
from stream.events.schema import TagOperationPosted

POLL_S = 0.1  # between two looks at what came of an operation

app = typer.Typer(help="What the tag learner knows, and operations on tags.", no_args_is_help=True)
TagList = Annotated[list[str], typer.Argument(metavar="TAG...")]
Into = Annotated[str, typer.Option(help="The tag that results.")]


@app.command(name="list")
def list_tags(
    limit: Annotated[int, typer.Option(min=1)] = 40, prefix: str = "", as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Tags by number of images, with quality and first use."""
    page = Api(client_settings(data_dir)).get("/v1/tags", limit=limit, prefix=prefix)
    if as_json:
        print_json(page)
        return
    names = list(dict.fromkeys(name for row in page["tags"] for name in row))
    out.print(quality_line(page["quality"]))
    rows = ([_cell(row.get(name)) for name in names] for row in page["tags"])
    caption = f"{page['known']} tags known, tagger {page['tagger_version']}"
    print_table(rows, *(name.replace("_", " ") for name in names), caption=caption)


@app.command()
def show(tag: str, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """One tag."""
    row = Api(client_settings(data_dir)).get(f"/v1/tags/{quote(tag, safe='')}")
    if as_json:
        print_json(row)
        return
    print_table((name.replace("_", " "), _cell(value)) for name, value in row.items())


@app.command()
def merge(tags: TagList, into: Into, wait: Wait = True, timeout_s: TimeoutS = 10.0, data_dir: DataDir = None) -> None:
    """Let tags be one tag from now on, for what was learned too."""
    _operate("merge", tags, into, _Ask(wait, timeout_s, data_dir))


@app.command()
def split(
    tag: str,
    into: Into,
    image: Annotated[list[str] | None, typer.Option(help="Id of a picture to move; may be repeated.")] = None,
    images_from: Annotated[Path | None, typer.Option(help="File with ids of pictures to move, one a line.")] = None,
    wait: Wait = True,
    timeout_s: TimeoutS = 10.0,
    data_dir: DataDir = None,
) -> None:
    """Let some of a tag's pictures carry another tag instead."""
    images = (*(image or ()), *(_read_ids(images_from) if images_from is not None else ()))
    _operate("split", [tag], into, _Ask(wait, timeout_s, data_dir), images)


@app.command()
def rename(tag: str, new: str, wait: Wait = True, timeout_s: TimeoutS = 10.0, data_dir: DataDir = None) -> None:
    """Call a tag by another name; the old one goes on finding it."""
    _operate("rename", [tag], new, _Ask(wait, timeout_s, data_dir))


@app.command()
def alias(
    tags: TagList,
    of: Annotated[str, typer.Option(help="The tag that they mean.")],
    wait: Wait = True,
    timeout_s: TimeoutS = 10.0,
    data_dir: DataDir = None,
) -> None:
    """Make words other spellings of a tag, used before or not."""
    _operate("alias", tags, of, _Ask(wait, timeout_s, data_dir))


@app.command()
def imply(tag: str, implied: str, wait: Wait = True, timeout_s: TimeoutS = 10.0, data_dir: DataDir = None) -> None:
    """Predict a second tag at least as probably as the first: every cat is an animal."""
    _operate("imply", [tag], implied, _Ask(wait, timeout_s, data_dir))


@app.command()
def forget(tags: TagList, wait: Wait = True, timeout_s: TimeoutS = 10.0, data_dir: DataDir = None) -> None:
    """Take tags off every picture, with everything learned from them."""
    _operate("forget", tags, "", _Ask(wait, timeout_s, data_dir))


@app.command()
def undo(operation_id: str, wait: Wait = True, timeout_s: TimeoutS = 10.0, data_dir: DataDir = None) -> None:
    """Take an operation back, as if it had never been."""
    _operate("undo", [], "", _Ask(wait, timeout_s, data_dir), target=operation_id)


@app.command()
def history(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 40, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Operations on tags and what came of them, newest first."""
    page = Api(client_settings(data_dir)).get("/v1/operations", limit=limit)
    if as_json:
        print_json(page)
        return
    shown = page["operations"]
    rows = ((row["operation_id"], row["kind"], ", ".join(row["tags"]), row["into"], row["outcome"]) for row in shown)
    caption = f"{page['known']} operations, tagger {page['tagger_version']}"
    print_table(rows, "id", "kind", "tags", "into", "outcome", caption=caption)


def quality_line(figures: dict[str, Any]) -> str:
    """The running metrics over all tags in one line."""
    names = {"lrap": "LRAP", "p_at_5": "P@5", "micro_ap": "micro AP", "macro_ap": "macro AP", "ece": "ECE"}
    if not figures["images"]:
        return "quality: no image evaluated yet"
    values = ", ".join(f"{name} {_cell(figures[key])}" for key, name in names.items())
    return f"quality, {figures['images']:,} images predicted before they were learned: {values}"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class _Ask:
    """How an operation is asked for: whether and how long to wait for it, and of which service."""

    wait: bool
    timeout_s: float
    data_dir: Path | None


def _operate(
    kind: OperationKind, tags: list[str], into: str, ask: _Ask, images: tuple[str, ...] = (), target: str = ""
) -> None:
    names = {normalise_tag(tag) for tag in tags}
    if into and names == {normalise_tag(into)}:
        raise UsageError(f"{kind} {', '.join(tags)}: expected another tag than {into!r}; name two tags")
    operation_id = f"{kind}-{uuid.uuid4().hex[:12]}"
    fields: dict[str, Any] = {"tags": tuple(tags), "into": into, "images": images, "target": target}
    try:
        event = TagOperationPosted(operation_id=operation_id, kind=kind, by=SOURCE, **fields)
    except ValidationError as error:
        raise UsageError(_sentence(error)) from None
    settings = client_settings(ask.data_dir)
    api = Api(settings) if ask.wait else None
    send(settings, event)
    if api is None:
        out.print(f"{operation_id}: posted; `mekiki tags history` shows what came of it", markup=False)
        return
    row = _outcome(api, operation_id, ask.timeout_s)
    if not row["in_force"] and row["outcome"] != "undone":
        raise UsageError(f"{operation_id}: refused, {row['outcome']}")
    moved = f", {row['images_moved']} pictures moved" if kind == "split" else ""
    out.print(f"{operation_id}: {row['outcome']}{moved}", markup=False)


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def _outcome(api: Api, operation_id: str, timeout_s: float) -> dict[str, Any]:
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


def _read_ids(path: Path) -> tuple[str, ...]:
    try:
        return tuple(line for line in path.read_text().splitlines() if line.strip())
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError):
        raise UsageError(f"{path}: expected a text file with one image id a line; check the path") from None
