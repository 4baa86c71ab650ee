"""`mekiki search`: by picture, id, tag or words, as a table, JSON or a contact sheet."""

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
    Title,
    Without,
    WithTags,
    pairs_of,
)
from admin.people.files.bounded import read_bounded
from models.errors import UsageError
from search.client.client import SearchOptions
from search.schemas import ImageView, Page, Result, Word

MARK = "*"
MOST_PICTURE_BYTES = 64_000_000  # the API takes less
SAME_SHOWN = 3  # ids of the same picture in a table; --json has all
MARK_MEANS = f"{MARK} at or above the tag's threshold, which has maximised its F1 so far"


def search(
    image: Annotated[Path | None, typer.Option(help="Like this picture.")] = None,
    image_id: Annotated[
        list[str] | None, typer.Option("--id", help="Like this image of the index; repeatable.")
    ] = None,
    unlike: Annotated[list[str] | None, typer.Option(help="Unlike this image of the index; repeatable.")] = None,
    tag: Annotated[str | None, typer.Option(help="What this tag fits.")] = None,
    words: Annotated[
        str | None, typer.Option(help='What these mean: tags, words of titles, "one name", -without, tag:, like:ID.')
    ] = None,
    crop: Annotated[str | None, typer.Option(help="left,top,width,height as shares of the picture.")] = None,
    objects: Annotated[
        bool | None, typer.Option(help="Also by objects in pictures; as it is, where --crop is given.")
    ] = None,
    with_tag: WithTags = None,
    without: Without = None,
    title: Title = None,
    author: Author = None,
    source_url: SourceUrl = None,
    metadata: Metadata = None,
    posted_after: PostedAfter = None,
    posted_before: PostedBefore = None,
    aspect: Aspect = None,
    min_score: Annotated[float | None, typer.Option(min=-1, max=1)] = None,
    diverse: Annotated[float, typer.Option(min=0, max=1, help="How unlike each other results are to be.")] = 0.0,
    limit: Annotated[int, typer.Option(min=1)] = 12,
    rank: Annotated[str, typer.Option(help="similarity or taste.")] = "similarity",
    collapse: Annotated[str, typer.Option(help="exact, near or none.")] = "exact",
    order: Annotated[
        str | None, typer.Option(help="With --tag and --words: carried (pictures that carry it first) or probability.")
    ] = None,
    as_json: AsJson = False,
    sheet: Annotated[Path | None, typer.Option(help="Draw a contact sheet into this PNG.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Search by picture, by id, by tag or by words."""
    if [image, image_id, tag, words].count(None) != 3:
        raise UsageError("search: expected exactly one of --image, --id, --tag and --words")
    if image is None and not image_id and (unlike or crop):
        raise UsageError("search: expected --unlike and --crop with --id or --image; name pictures with these")
    if crop is not None and (unlike or len(image_id or ()) > 1) and image is None:
        raise UsageError(f"--crop {crop}: expected one picture; leave out the other ids")
    if objects is not None and (tag is not None or words is not None or unlike or len(image_id or ()) > 1):
        raise UsageError("--objects, --no-objects: expected with one picture, by --image or --id; leave it out")
    if order is not None and tag is None and words is None:
        raise UsageError(f"--order {order}: expected with --tag or --words; leave it out")
    api = Api(client_settings(data_dir))
    given = {
        "limit": limit, "rank": rank, "collapse": collapse, "with_tags": with_tag, "without": without, "title": title,
        "author": author, "source_url": source_url, "metadata": pairs_of(metadata), "posted_after": posted_after,
        "posted_before": posted_before, "min_score": min_score, "aspect": aspect, "diverse": diverse or None,
    }  # fmt: skip
    options = cast(SearchOptions, {name: value for name, value in given.items() if value is not None})
    content = None if image is None else read_picture(image)
    if content is not None:
        page = api.search_image(content, crop=crop, objects=objects, unlike=unlike or (), **options)
    elif tag is not None:
        page = api.search_tag(tag, order=order, **options)
    elif words is not None:
        page = api.search_words(words, order=order, **options)
    elif image_id and len(image_id) == 1 and not unlike:
        page = api.search_id(image_id[0], crop=crop, objects=objects, **options)
    else:
        page = api.search(like=image_id or (), unlike=unlike or (), **options)
    if sheet is not None:
        from admin.people.sheet import Row, draw_sheet, fetch_cells

        query = content if content is not None else api.picture(image_id[0]) if image_id else None
        heading = tag or words or ", ".join(image_id or ()) or str(image)
        draw_sheet([Row(heading, query, fetch_cells(api, page.results))], sheet)
    if as_json:
        print_json(page.model_dump(mode="json"))
    else:
        _show(page)
        if sheet is not None:
            out.print(f"contact sheet: {sheet}", markup=False)


def name_of(image_id: str, title: str) -> str:
    """An id, and below it the title where there is one."""
    return f"{image_id}\n{title}" if title else image_id


def tags_of(image: Result | ImageView) -> str:
    """Tags as a table shows them, in brackets what follows from them; --json has all."""
    return ", ".join([*image.tags[:8], *(f"({tag})" for tag in image.implied_tags[:4])])


def where_of(result: Result) -> str:
    """Below the id, the part of the picture that was found, as --crop takes it."""
    return "" if result.box is None else "\nin " + ",".join(f"{share:.2f}" for share in result.box)


def read_picture(path: Path) -> bytes:
    """The bytes of a picture.

    Raises:
        UsageError: there is no such file, or it cannot be a picture.
    """
    content = read_bounded(path, "a picture", MOST_PICTURE_BYTES)
    if not content:
        raise UsageError(f"{path}: empty; expected a picture")
    return content


def _show(page: Page) -> None:
    for word in page.words:
        if said := understood_as(word):
            out.print(shown(said), soft_wrap=True)
    versions = f"encoder {page.encoder_version[:12]}"
    if page.ranker_version is not None:
        versions += f", ordered by ranker {page.ranker_version}"
    if page.tagger_version is not None:
        versions += f", tagger {page.tagger_version}"
    rows = []
    for result in page.results:
        score = result.score if result.rank_score is None else result.rank_score
        rows.append(
            (
                marked(score, result.above_threshold),
                name_of(result.image_id, result.title) + where_of(result),
                tags_of(result),
                _same(result),
            )
        )
    score_column = Column("score", justify="right", overflow="fold")
    print_table(rows, score_column, "image", "tags", "same picture", caption=f"{page.took_ms} ms, {versions}")
    if page.tagger_version is not None:
        out.print(MARK_MEANS)


def understood_as(word: Word) -> str:
    """What a word was understood as, where that is not what it says."""
    if word.means == "nothing":
        hint = f"; did you mean {' or '.join(word.nearest)}?" if word.nearest else ""
        return f"{word.text}: no tag and no word of a title{hint}"
    if word.means == "tag" and word.how != "name":
        return f"{word.text}: {word.tag}"
    return f"{word.text}: a word of titles, authors or metadata" if word.means == "text" else ""


def _same(result: Result) -> str:
    """The ids of the same picture, the first of them, and an earlier one that looks nearly the same."""
    said = result.duplicates[:SAME_SHOWN]
    if more := len(result.duplicates) - len(said):
        said.append(f"{more} more")
    if result.near_duplicate_of:
        said.append(f"(near {result.near_duplicate_of})")
    return ", ".join(said)


def marked(score: float, above_threshold: bool | None) -> str:
    """A score as a table shows it, with a mark where a tag's threshold is reached."""
    return f"{score:.3f} {MARK if above_threshold else ' '}"
