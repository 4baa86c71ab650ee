"""`mekiki bench encoder|encoders|ingest|search|tagger ...`: what this machine does, measured now, as a table or JSON.

`mekiki` finds this file by its entry point. A scenario is a file that is imported only when its command is called.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from admin.console import print_json, print_table, write_json
from benchmarks.encoders.parts import Part as EncoderPart
from benchmarks.tagger.parts import Part
from benchmarks.tagger.peers import Peer
from models.errors import UsageError

ALL = "all"
LEAST_POINTS = 1_000

app = typer.Typer(help="Measure this machine.", no_args_is_help=True)
JsonFile: TypeAlias = Annotated[Path | None, typer.Option("--json", help="Write the figures here; `-` prints them.")]


@app.command()
def encoder(
    images: Annotated[int, typer.Option(min=32, help="Pictures to embed.")] = 512, json_file: JsonFile = None
) -> None:
    """Images per second of the bare encoder, by batch size."""
    from benchmarks.encoder import run

    _report(run(images), json_file)


@app.command()
def pictures(
    folder: Annotated[Path, typer.Argument(help="Of pictures, e.g. Tests/images of Pillow's source package.")],
    json_file: JsonFile = None,
) -> None:
    """Which pictures we take, and how far they are from what Pillow shows."""
    from benchmarks.pictures import run

    _report(run(folder), json_file)


@app.command()
def copies(
    originals: Annotated[int, typer.Option(min=10, help="Drawings that copies are made of.")] = 300,
    json_file: JsonFile = None,
) -> None:
    """Which pictures count as near duplicates: recall on copies, precision on different drawings."""
    from benchmarks.copies import run

    _report(run(originals), json_file)


@app.command()
def words(
    tags: Annotated[int, typer.Option(min=100, help="That completions are looked for among.")] = 30_000,
    json_file: JsonFile = None,
) -> None:
    """Completions while somebody types, and how well two tags at once find pictures."""
    from benchmarks.words import run

    _report(run(tags), json_file)


@app.command()
def discover(
    scenes: Annotated[int, typer.Option(min=20, help="Made scenes to look for things in.")] = 200,
    per_image: Annotated[int, typer.Option(min=1, max=64, help="Objects cut out of each at most.")] = 16,
    json_file: JsonFile = None,
) -> None:
    """Small things in large pictures: which scenes are found, through what, at which cost."""
    from benchmarks.discover.run import run

    _report(run(scenes, per_image), json_file)


@app.command()
def post(
    pictures: Annotated[int, typer.Option(min=100, help="Small pictures to post.")] = 5_000, json_file: JsonFile = None
) -> None:
    """Small pictures per second into the log, beside a plain producer in the same run."""
    from benchmarks.post import run

    _report(run(pictures), json_file)


@app.command()
def ingest(
    images: Annotated[int, typer.Option(min=50, help="Pictures to stream.")] = 600, json_file: JsonFile = None
) -> None:
    """Images per second from the log to the index, beside the bare encoder in the same run."""
    from benchmarks.ingest import run

    _report(run(images), json_file)


@app.command()
def search(
    points: Annotated[str, typer.Option(help="How many, one size after another.")] = "200000,1000000",
    json_file: JsonFile = None,
) -> None:
    """The embedded index as it grows: time, recall, gaps, memory, beside floats; what bits keep of real vectors."""
    from benchmarks.search import run

    _report(run(_sizes(points)), json_file)


def _sizes(said: str) -> list[int]:
    sizes = [int(part) for part in said.split(",") if part.strip().isascii() and part.strip().isdigit()]
    if len(sizes) != len(said.split(",")) or min(sizes) < LEAST_POINTS:
        raise UsageError(f"--points {said}: expected numbers of {LEAST_POINTS} or more, with commas between them")
    return sizes


@app.command()
def tagger(
    json_file: JsonFile = None,
    only: Annotated[list[Part] | None, typer.Option(help="Only this part; may be repeated.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder of your own pictures for quality and few-shot, instead of OpenMoji.")
    ] = None,
    tags: Annotated[
        Path | None, typer.Option(help='Their tags as JSON lines {"file": "cat.jpg", "tags": ["cat"]}.')
    ] = None,
    splits: Annotated[int, typer.Option(min=1, help="Splits of the pictures that quality is the mean of.")] = 5,
    speed_tags: Annotated[int, typer.Option(min=100, help="Tags of the speed part.")] = 30_000,
    without: Annotated[
        list[str] | None, typer.Option(metavar="PEER", help=f"Leave out {', '.join(Peer)} or {ALL}; may be repeated.")
    ] = None,
) -> None:
    """The tag learner at scale: speed, quality, few-shot, beside peers of the extra `bench`."""
    left_out = _peers(without or [])
    if (pictures is None) != (tags is None):
        raise UsageError("--pictures and --tags: expected both or neither; name the folder and the file of its tags")
    from benchmarks.tagger.run import run

    parts = only or list(Part)
    own = None
    if pictures is not None and tags is not None and parts != [Part.SPEED]:
        from admin.operators.encoders.labelled import load_folder
        from models.encoders.load import load_extractor
        from models.encoders.registry.folders import DEFAULT, EncoderFolders

        extractor = load_extractor(EncoderFolders().manifest(DEFAULT))
        own = load_folder(pictures, tags).measured(lambda pixels, _: extractor.extract(pixels))
    report = run(parts, pictures=own, tags=speed_tags, without=left_out, split_count=splits)
    _report(report, json_file)


@app.command()
def encoders(
    only: Annotated[
        list[EncoderPart] | None,
        typer.Option(help="Only this part; may be repeated. Without it all of them."),
    ] = None,
    splits: Annotated[
        int, typer.Option(min=1, help="Splits of the pictures that heads, tags, taste are means of.")
    ] = 5,
    json_file: JsonFile = None,
) -> None:
    """Encoders beside what they should be better than: built in, fitted, trained, as bits, exported, streaming."""
    from benchmarks.encoders.run import run

    _report(run(only or list(EncoderPart), splits), json_file)


@app.command()
def ctr(
    pictures: Annotated[int, typer.Option(min=40, help="OpenMoji pictures.")] = 800,
    shown: Annotated[int, typer.Option(min=100, help="Impressions.")] = 20_000,
    json_file: JsonFile = None,
) -> None:
    """Exported tag vectors: do they know of later; an online click model in river on them."""
    from stream.export.table import load_arrow

    load_arrow()
    from benchmarks.ctr.run import run

    _report(run(pictures, shown), json_file)


def _peers(names: list[str]) -> set[Peer]:
    if ALL in names:
        return set(Peer)
    unknown = set(names) - set(Peer)
    if unknown:
        raise UsageError(f"--without {sorted(unknown)[0]}: expected {', '.join(Peer)} or {ALL}; see --help")
    return {Peer(name) for name in names}


def _report(figures: dict[str, Any], json_file: Path | None) -> None:
    if json_file is not None and str(json_file) == "-":
        print_json(figures)
        return
    if json_file is not None:
        write_json(json_file, figures)
    print_table(_flat(figures), "figure", "value")


def _flat(figures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """One row a figure, however deep it lies; rows of a list by their number."""
    for name, value in figures.items():
        inner = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(inner, dict):
            yield from ((f"{name} {below}", figure) for below, figure in _flat(inner))
        elif isinstance(value, float):
            yield str(name), f"{value:.0f}" if value >= 1000 else f"{value:.4g}"
        else:
            yield str(name), "-" if value is None else str(value)
