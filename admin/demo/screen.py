"""What the demo shows: one screen a newcomer understands, and a contact sheet."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from admin.connect import Api
from admin.demo.events import Plan
from admin.people.sheet import Cell, Row, draw_sheet, fetch_cells

COLUMNS = 8
CREDIT = "mekiki demo. Pictures: OpenMoji (openmoji.org), CC BY-SA 4.0"


def show(console: Console, report: dict[str, Any], plan: Plan, sheet: Path | None) -> None:
    """Print what was measured, with the words to read it by."""
    measured, meaning = Column("measured", justify="right"), Column("meaning", style="dim")
    table = Table("what", measured, meaning, title="mekiki demo", show_header=False, title_justify="left")
    for row in _figures(report):
        table.add_row(*row)
    console.print(table)
    if sheet is not None:
        console.print(f"contact sheet: {sheet}", markup=False)
    console.print(f"late tags: {', '.join(plan.late)}", markup=False)
    console.print("The taste is for keywords and colours, never for the embedding; one click in ten was random.")
    console.print(CREDIT, markup=False)


def _figures(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Rows of the table: what, measured, meaning."""
    new, ranker, heldout = report["new_tag"], report["ranker"], report["heldout"]
    late, first_hit = report["post_to_searchable_ms"], new["events_to_first_hit"]["p50"]
    return [
        (
            "pictures posted, indexed",
            f"{report['images_posted']}, {report['images_indexed']}",
            "through Kafka into Qdrant",
        ),
        (
            "dead letters",
            f"{report['dead_letters']}",
            f"{report['dead_letters_planted']} broken records were planted; `mekiki dlq list` shows such",
        ),
        (
            "images per second",
            f"{report['images_per_second']} of {report['encoder_images_per_second']}",
            f"streaming, of what the bare encoder does here ({report['ingest_over_encoder']:.0%}, {report['device']})",
        ),
        (
            "post to searchable",
            f"{late['p50']:.0f} ms, {late['p95']:.0f} ms",
            "median and 95th percentile, one at a time",
        ),
        ("tags known", f"{report['tags_known']}", "English keywords and Japanese names, learned from the stream"),
        (
            "held-out pictures",
            f"LRAP {heldout['lrap']:.3f}, mAP {heldout['map']:.3f}",
            f"{heldout['images']} pictures without tags, {heldout['tags']} tags; P@5 {heldout['p_at_5']:.3f}",
        ),
        (
            "a new tag is searchable",
            f"{new['ms_to_searchable']['p95']:.0f} ms",
            f"p95 of {new['tags']} tags that came only in the second half, from their first event",
        ),
        (
            "and finds its pictures",
            f"after {first_hit:g}" if first_hit is not None else "not yet",
            "events (median): a picture of its kind without that tag is among the first ten",
        ),
        (
            "order by taste",
            f"{ranker['pair_accuracy_before']:.2f} to {ranker['pair_accuracy_after']:.2f}",
            f"pairs of unseen pictures in the order of a simulated person's hidden taste, {ranker['pairs']} clicks",
        ),
        (
            "similar-image search",
            f"{report['search_ms']['p50']:.0f} ms, {report['search_ms']['p95']:.0f} ms",
            "p50 and p95 over HTTP",
        ),
    ]


def draw(api: Api, plan: Plan, path: Path) -> None:
    """Rows of the contact sheet: similar pictures, tags (two of them late), predicted tags, and taste."""
    rows = [_similar(api, plan, image_id) for image_id in _examples(plan)]
    rows += [_tag_row(api, tag, "tag") for tag in _common(plan)]
    rows += [_tag_row(api, tag, "late tag") for tag in list(plan.late)[:2]]
    rows.append(_predicted(api, plan))
    rows.append(_taste(api, plan))
    draw_sheet(rows, path, columns=COLUMNS, heading=CREDIT)


def _examples(plan: Plan) -> list[str]:
    wanted = ("cat face", "strawberry", "sailboat")
    by_name = {item.picture.name.replace("_", " "): image_id for image_id, item in plan.posted.items()}
    found = [by_name[name] for name in wanted if name in by_name]
    return (found + plan.held_out)[:3]


def _common(plan: Plan) -> list[str]:
    return [tag for tag in ("fruit", "weather") if plan.counts[tag] >= 5] or [plan.counts.most_common(1)[0][0]]


def _similar(api: Api, plan: Plan, image_id: str) -> Row:
    page = api.search_id(image_id, limit=COLUMNS)
    item = plan.posted[image_id]
    return Row(f"like {item.picture.name.replace('_', ' ')}", item.content, fetch_cells(api, page.results))


def _tag_row(api: Api, tag: str, kind: str) -> Row:
    page = api.search_tag(tag, limit=COLUMNS)
    return Row(f"{kind}: {tag}", None, fetch_cells(api, page.results))


def _predicted(api: Api, plan: Plan) -> Row:
    cells = []
    for image_id in plan.held_out[:COLUMNS]:
        item = plan.posted[image_id]
        best = api.predict(item.content, limit=3, min_images=5).tags
        words = ", ".join(f"{row.tag} {row.probability:.2f}" for row in best)
        cells.append(Cell(item.content, ("predicted", words)))
    return Row("never tagged: predicted tags", None, cells)


def _taste(api: Api, plan: Plan) -> Row:
    ranked = api.rank(plan.held_out[:400]).ranked[:COLUMNS]
    cells = []
    for row in ranked:
        item = plan.posted[row.image_id]
        cells.append(Cell(item.content, (f"{row.score:.2f}", ", ".join(item.tags[:2]))))
    return Row("unseen pictures, by taste", None, cells)
