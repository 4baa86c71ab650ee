"""`mekiki search`: by picture, id or tag, as a table, JSON or a contact sheet."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.table import Column

from admin.connect import Api, client_settings
from admin.console import out, print_json, print_table
from admin.options import AsJson, DataDir
from models.errors import UsageError

MARK = "*"
MARK_MEANS = f"{MARK} at or above the tag's threshold, which has maximised its F1 so far"


def search(
    image: Annotated[Path | None, typer.Option(help="Like this picture.")] = None,
    image_id: Annotated[str | None, typer.Option("--id", help="Like this image of the index.")] = None,
    tag: Annotated[str | None, typer.Option(help="What this tag fits.")] = None,
    crop: Annotated[str | None, typer.Option(help="left,top,width,height as shares of the picture.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 12,
    rank: Annotated[str, typer.Option(help="similarity or taste.")] = "similarity",
    collapse: Annotated[str, typer.Option(help="exact, near or none.")] = "exact",
    order: Annotated[
        str | None, typer.Option(help="With --tag: carried (pictures that carry it first) or probability.")
    ] = None,
    as_json: AsJson = False,
    sheet: Annotated[Path | None, typer.Option(help="Draw a contact sheet into this PNG.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Search by picture, by id or by tag."""
    if [image, image_id, tag].count(None) != 2:
        raise UsageError("search: expected exactly one of --image, --id and --tag")
    if order is not None and tag is None:
        raise UsageError(f"--order {order}: expected with --tag; leave it out")
    api = Api(client_settings(data_dir))
    options = {"limit": limit, "rank": rank, "collapse": collapse, "crop": crop}
    if image is not None:
        page = api.post("/v1/search/image", content=read_picture(image), **options)
    elif image_id is not None:
        page = api.get(f"/v1/search/id/{quote(image_id)}", **options)
    else:
        page = api.get("/v1/search/tag", tag=tag, order=order, **options)
    if sheet is not None:
        from admin.people.sheet import Row, draw_sheet, fetch_cells

        query = image.read_bytes() if image is not None else api.picture(image_id) if image_id is not None else None
        title = tag or image_id or str(image)
        draw_sheet([Row(title, query, fetch_cells(api, page["results"]))], sheet)
    if as_json:
        print_json(page)
    else:
        _show(page)
        if sheet is not None:
            out.print(f"contact sheet: {sheet}", markup=False)


def read_picture(path: Path) -> bytes:
    """The bytes of a picture.

    Raises:
        UsageError: there is no such file.
    """
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise UsageError(f"{path}: a folder; expected a picture") from None
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; check the path") from None


def _show(page: dict[str, Any]) -> None:
    versions = f"encoder {page['encoder_version'][:12]}"
    if page["ranker_version"] is not None:
        versions += f", ordered by ranker {page['ranker_version']}"
    if page["tagger_version"] is not None:
        versions += f", tagger {page['tagger_version']}"
    rows = []
    for result in page["results"]:
        score = result["score"] if result["rank_score"] is None else result["rank_score"]
        same = ", ".join(result["duplicates"])
        if result["near_duplicate_of"]:
            same += f" (near {result['near_duplicate_of']})"
        tags = ", ".join([*result["tags"][:8], *(f"({tag})" for tag in result["implied_tags"][:4])])
        rows.append((marked(score, result["above_threshold"]), result["image_id"], tags, same))
    score_column = Column("score", justify="right", overflow="fold")
    print_table(rows, score_column, "image", "tags", "same picture", caption=f"{page['took_ms']} ms, {versions}")
    if page["tagger_version"] is not None:
        out.print(MARK_MEANS)


def marked(score: float, above_threshold: bool | None) -> str:
    """A score as a table shows it, with a mark where a tag's threshold is reached."""
    return f"{score:.3f} {MARK if above_threshold else ' '}"
