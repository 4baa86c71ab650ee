"""`mekiki images list|show|delete`: what the index holds."""

import itertools
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.table import Column

from admin.connect import Api, client_settings
from admin.console import out, print_json, print_table, shown
from admin.options import (
    AsJson,
    Aspect,
    Author,
    DataDir,
    Metadata,
    PostedAfter,
    PostedBefore,
    SourceUrl,
    TimeoutS,
    Title,
    Wait,
    Without,
    WithTags,
    pairs_of,
)
from admin.people.importing.send import known
from admin.people.importing.waiting import until
from admin.people.operating import agree
from admin.people.search import name_of, tags_of
from search.client.client import Filters
from search.schemas import ImageView

app = typer.Typer(help="Images of the index.", no_args_is_help=True)


@app.command(name="list")
def list_images(
    with_tag: WithTags = None,
    without: Without = None,
    title: Title = None,
    author: Author = None,
    source_url: SourceUrl = None,
    metadata: Metadata = None,
    posted_after: PostedAfter = None,
    posted_before: PostedBefore = None,
    aspect: Aspect = None,
    limit: Annotated[int, typer.Option(min=1)] = 40,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Images, in an order that means nothing."""
    given = {
        "with_tags": with_tag, "without": without, "title": title, "author": author, "source_url": source_url,
        "metadata": pairs_of(metadata), "posted_after": posted_after, "posted_before": posted_before, "aspect": aspect,
    }  # fmt: skip
    filters = cast(Filters, {name: value for name, value in given.items() if value is not None})
    images = list(itertools.islice(Api(client_settings(data_dir)).images(**filters), limit))
    if as_json:
        print_json([image.model_dump(mode="json") for image in images])
        return
    print_table(
        _rows(images), Column("image", overflow="fold", ratio=3), Column("tags", overflow="fold", ratio=2), "size"
    )


def _rows(images: list[ImageView]) -> Iterator[tuple[str, str, str]]:
    for image in images:
        yield name_of(image.image_id, image.title), tags_of(image), f"{image.width_px} x {image.height_px}"


@app.command()
def show(
    image_id: str,
    save: Annotated[Path | None, typer.Option(help="Write the picture into this file.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """One image: tags, size, format, where its copies are."""
    api = Api(client_settings(data_dir))
    image = api.image(image_id).model_dump(mode="json")
    if save is not None:
        save.write_bytes(api.picture(image_id))
    if as_json:
        print_json(image)
        return
    image["metadata"] = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in image["metadata"].items()]
    cells = {name: ", ".join(value) if isinstance(value, list) else value for name, value in image.items()}
    print_table(((name.replace("_", " "), str(value)) for name, value in cells.items() if value != ""))
    if save is not None:
        out.print(f"picture: {save}")


@app.command()
def delete(
    image_ids: Annotated[list[str], typer.Argument(metavar="IMAGE_ID...")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Wait = True,
    timeout_s: TimeoutS = 10.0,
    data_dir: DataDir = None,
) -> None:
    """Take images down everywhere: index, stored bytes, everything learned from them."""
    api = Api(client_settings(data_dir))
    ids = list(dict.fromkeys(api.image(one).image_id for one in image_ids))  # refused before anything is deleted
    agree(f"delete {len(ids)} images, and what was learned from them", yes=yes)
    for image_id in ids:
        api.delete_image(image_id)
    for image_id in ids if wait else ():
        sent = f"image {image_id!r}: the deletion is in the log, but was not carried out"
        until(partial(_is_gone, api, image_id), timeout_s, sent)
    names = ", ".join(map(shown, ids))
    out.print(f"deleted {names}; no search finds them" if wait else f"deleting {names}", soft_wrap=True)


def _is_gone(api: Api, image_id: str) -> bool:
    return all(about["state"] == "deleted" for about in known(api, [image_id]).values())
