"""`mekiki post`: pictures and what people say of them into the log, as any other producer would post them."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from admin.connect import client_settings
from admin.console import print_error
from admin.options import DataDir, pairs_of
from admin.people.importing.ids import IdFrom
from admin.people.importing.plan import Wanted
from admin.people.importing.report import Report
from admin.people.importing.run import Manner, run

EXIT_FAILED = 1  # some files could not be posted
EXIT_INTERRUPTED = 130  # as a shell says it of Ctrl-C


def post(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders and globs.")],
    tag: Annotated[list[str] | None, typer.Option(help="Tag for every picture; may be repeated.")] = None,
    tags_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|sidecars|folders|keywords",
            help="JSON lines or CSV (file or image_id, tags; also complete, title, source_url, author, metadata); "
            "files beside pictures (cat.jpg.txt, cat.txt, cat.xmp); names of folders; IPTC and XMP inside pictures. "
            "May be repeated.",
        ),
    ] = None,
    image_id: Annotated[str | None, typer.Option("--id", help="Id for a single picture.")] = None,
    id_from: Annotated[IdFrom, typer.Option(help="What ids are made of.")] = "path",
    root: Annotated[Path | None, typer.Option(help="Folder that paths in ids begin at.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Post also what is there already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; send nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all are searchable or dead.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.0, help="Seconds to wait without news.")] = 300.0,
    watch: Annotated[bool, typer.Option("--watch", help="Go on posting what comes.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write what became of each file, as JSON lines.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a file of tags with a line that fits none.")] = False,
    split_commas: Annotated[
        bool | None, typer.Option("--split-commas/--keep-commas", help="Whether `cat, dog` is two tags.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the picture.")] = None,
    source_url: Annotated[str | None, typer.Option(help="Where it comes from.")] = None,
    author: Annotated[str | None, typer.Option(help="Who made it.")] = None,
    metadata: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Anything else.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Post pictures, with tags or without: small ones inline, large ones by dataref and sha256.

    What is there already is not sent again, so a run that was interrupted goes on when it is started again.
    """
    details: dict[str, Any] = {"title": title, "source_url": source_url, "author": author}
    details["metadata"] = pairs_of(metadata)
    wanted = Wanted(
        paths, tuple(tag or ()), tuple(tags_from or ()), image_id=image_id, id_from=id_from, root=root, strict=strict,
        split_commas=split_commas, details={name: value for name, value in details.items() if value is not None},
    )  # fmt: skip
    manner = Manner(again=again, dry_run=dry_run, watch=watch, wait=wait, timeout_s=timeout_s)
    raise typer.Exit(_report(wanted, manner, report, data_dir))


def _report(wanted: Wanted, manner: Manner, path: Path | None, data_dir: Path | None) -> int:
    """Run it, show what came of it, and give the exit code."""
    settings = client_settings(data_dir)
    with Report(path) as report:
        started_s = time.perf_counter()
        rate: float | None = None
        try:
            rate = run(settings, wanted, manner, report)
        except KeyboardInterrupt:
            if not manner.watch:
                print_error("interrupted; the same command goes on from here")
                return EXIT_INTERRUPTED
        finally:
            if rate is None:
                rate = report.posted / max(time.perf_counter() - started_s, 1e-6)
            if report.counts:
                report.show(rate=None if manner.dry_run else rate)
        return EXIT_FAILED if report.has_failed else 0
