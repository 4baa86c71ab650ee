"""`mekiki tags ...`: what the tag learner knows, and operations on the tags themselves.

An operation is an event on the log like any other; the learner carries it out in log order, or says why not.
"""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from admin.connect import Api, client_settings
from admin.console import out, print_json, print_table
from admin.options import AsJson, DataDir, TimeoutS, Wait
from admin.people.operating import Asked, agree, operate, taken_along
from admin.people.revoke import give_back, revoke
from models.errors import UsageError

GIVEN_BACK_S = 60.0  # at least, that an undone revoke may take

app = typer.Typer(help="What the tag learner knows, and operations on tags.", no_args_is_help=True)
TagList = Annotated[list[str], typer.Argument(metavar="TAG...")]
Into = Annotated[str, typer.Option(help="The tag that results.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


app.command()(revoke)


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
    """One tag: pictures, quality, other names, what it implies and what implies it."""
    row = Api(client_settings(data_dir)).get(f"/v1/tags/{quote(tag, safe='')}")
    if as_json:
        print_json(row)
        return
    shown = {name: ", ".join(value) or "-" if isinstance(value, list) else _cell(value) for name, value in row.items()}
    print_table((name.replace("_", " "), value) for name, value in shown.items())


@app.command()
def merge(tags: TagList, into: Into, wait: Wait = True, timeout_s: TimeoutS = 10.0, data_dir: DataDir = None) -> None:
    """Let tags be one tag from now on, for what was learned too."""
    operate("merge", tags, into, Asked(wait, timeout_s, data_dir))


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
    operate("split", [tag], into, Asked(wait, timeout_s, data_dir), images)


@app.command()
def rename(tag: str, new: str, wait: Wait = True, timeout_s: TimeoutS = 10.0, data_dir: DataDir = None) -> None:
    """Call a tag by another name; the old one goes on finding it."""
    operate("rename", [tag], new, Asked(wait, timeout_s, data_dir))


@app.command()
def alias(
    tags: TagList,
    of: Annotated[str, typer.Option(help="The tag that they mean.")],
    wait: Wait = True,
    timeout_s: TimeoutS = 10.0,
    yes: Yes = False,
    data_dir: DataDir = None,
) -> None:
    """Make words other spellings of a tag, used before or not; asks before it takes pictures along."""
    if not yes and (carried := taken_along(Api(client_settings(data_dir)), tags, of)):
        agree(carried, yes=False)
    operate("alias", tags, of, Asked(wait, timeout_s, data_dir))


@app.command()
def imply(tag: str, implied: str, wait: Wait = True, timeout_s: TimeoutS = 10.0, data_dir: DataDir = None) -> None:
    """Let pictures that carry a tag carry a second one too: every cat is an animal."""
    operate("imply", [tag], implied, Asked(wait, timeout_s, data_dir))


@app.command()
def forget(tags: TagList, wait: Wait = True, timeout_s: TimeoutS = 10.0, data_dir: DataDir = None) -> None:
    """Take tags off every picture, with everything learned from them."""
    operate("forget", tags, "", Asked(wait, timeout_s, data_dir))


@app.command()
def undo(operation_id: str, wait: Wait = True, timeout_s: TimeoutS = 10.0, data_dir: DataDir = None) -> None:
    """Take an operation back, as if it had never been."""
    if operation_id:
        give_back(operation_id, max(timeout_s, GIVEN_BACK_S) if wait else None, data_dir)
    operate("undo", [], "", Asked(wait, timeout_s, data_dir), target=operation_id)


@app.command()
def history(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 40, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Operations on tags, newest first: what came of each, who asked for it and when."""
    page = Api(client_settings(data_dir)).get("/v1/operations", limit=limit)
    if as_json:
        print_json(page)
        return
    shown = page["operations"]
    rows = (
        (row["operation_id"], row["kind"], _named(row), row["into"], row["outcome"], row["by"], row["time"][:19])
        for row in shown
    )
    caption = f"{page['known']} operations, tagger {page['tagger_version']}"
    print_table(rows, "id", "kind", "tags", "into", "outcome", "by", "when (UTC)", caption=caption)


def _named(row: dict[str, Any]) -> str:
    """What an operation is about: tags, or whose tags."""
    since = f" since {row['since']}" if row["since"] else ""
    return f"by {row['said_by']}{since}" if row["said_by"] else ", ".join(row["tags"])


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


def _read_ids(path: Path) -> tuple[str, ...]:
    try:
        return tuple(line for line in path.read_text().splitlines() if line.strip())
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError):
        raise UsageError(f"{path}: expected a text file with one image id a line; check the path") from None
