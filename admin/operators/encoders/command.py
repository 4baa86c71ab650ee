"""`mekiki encoder list|show|import|fit|train|eval`: which encoders there are, how good they are, and new ones."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column

from admin.connect import client_settings
from admin.console import errors_out, out, print_json, print_table, write_json
from admin.operators.encoders import train
from admin.options import AsJson, DataDir
from models.encoders.registry.folders import DEFAULT, EncoderFolders
from models.encoders.registry.manifest import Manifest
from models.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from models.judging.table import Row

app = typer.Typer(no_args_is_help=True, help="Encoders: the frozen networks that turn pictures into vectors.")
NewName = Annotated[str, typer.Option("--as", help="Name of the new encoder.")]
CacheDir = Annotated[
    Path | None, typer.Option(envvar="MEKIKI_CACHE_DIR", help="Keeps a network's graph; without it ~/.cache/mekiki.")
]
app.add_typer(train.app, name="train")
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; without it all.")]


@app.command(name="list")
def list_encoders(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """The encoders there are; * marks the one that the settings name."""
    settings = client_settings(data_dir)
    folders = EncoderFolders(settings.encoders_path)
    rows = [_row(folders, name, settings.encoder.name) for name in folders.names()]
    if as_json:
        print_json(rows)
        return
    print_table(
        ([f"{'* ' if row['serves'] else ''}{row['name']}", _or(row["version"]), _or(row["features"]), row["about"]]
         for row in rows),
        "encoder", "version", "features", "about",
    )  # fmt: skip


def _row(folders: EncoderFolders, name: str, serving: str) -> dict[str, Any]:
    """One encoder; what is wrong with one that cannot be used stands in the place of what it is about."""
    row: dict[str, Any] = {"name": name, "serves": name == serving, "version": None, "features": None}
    try:
        manifest = folders.manifest(name)
    except ConfigurationError as error:
        return row | {"about": str(error)}
    return row | {"version": manifest.version, "features": sum(manifest.parts), "about": manifest.about}


def _or(value: Any) -> str:
    return "-" if value is None else str(value)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="As `mekiki encoder list` has it.")] = DEFAULT, data_dir: DataDir = None
) -> None:
    """The manifest of an encoder, as JSON, once its files are what it says they are."""
    folders = EncoderFolders(client_settings(data_dir).encoders_path)
    manifest = folders.manifest(name)
    for file in manifest.files:
        folders.file(manifest, file)
    versions = {"version": manifest.version, "network_version": manifest.network_version}
    print_json(versions | manifest.model_dump(mode="json"))


@app.command(name="import")
def take(
    graph: Annotated[Path, typer.Argument(help="ONNX file of an image network, weights inside.")],
    manifest: Annotated[Path, typer.Option(help="What it takes and gives, as JSON: see docs/encoders.md.")],
    data_dir: DataDir = None,
    threads: Threads = None,
) -> None:
    """Take an image network of anybody's: it is run first, and its speed is said."""
    from admin.operators.encoders.taking import take_network

    taken, trial = take_network(EncoderFolders(client_settings(data_dir).encoders_path), graph, manifest, threads)
    said(taken)
    out.print(f"{trial.features} features, {trial.images_per_second:.1f} pictures/s on this machine")
    out.print(f"A projection for your pictures: mekiki encoder fit --of {taken.name} --from-stream --as NAME")


@app.command()
def fit(
    name: NewName,
    of: Annotated[str, typer.Option(help="Encoder whose network it is for.")] = DEFAULT,
    pictures: Annotated[Path | None, typer.Option(help="Folder of pictures; without it the OpenMoji pictures.")] = None,
    from_stream: Annotated[
        bool, typer.Option("--from-stream", help="The index's own pictures, whose features it keeps.")
    ] = False,
    dimension: Annotated[int, typer.Option(min=2, help="Length of the vectors.")] = 512,
    data_dir: DataDir = None,
    threads: Threads = None,
    cache_dir: CacheDir = None,
) -> None:
    """An encoder with a projection fitted on pictures without labels (a few thousand are enough)."""
    from admin.operators.encoders.fit import Source, fit_encoder

    settings = client_settings(data_dir)
    source = Source(pictures=pictures, settings=settings if from_stream else None)
    made = fit_encoder(
        EncoderFolders(settings.encoders_path), of, name, source, dimension, threads=threads, cache_dir=cache_dir
    )
    said(made)


@app.command(name="eval")
def evaluate(
    names: Annotated[list[str] | None, typer.Argument(help="Encoders; without them all.", show_default=False)] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder of labelled pictures; without it the OpenMoji pictures.")
    ] = None,
    tags: Annotated[Path | None, typer.Option(help="JSON lines or CSV of `file` and `tags`.")] = None,
    splits: Annotated[int, typer.Option(min=1, max=50, help="Cuts that heads are measured on.")] = 5,
    layers: Annotated[bool, typer.Option("--layers", help="Their layers too.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here; `-` prints them.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a picture of the figures here, PNG.")] = None,
    data_dir: DataDir = None,
) -> None:
    """How good encoders are, in one table: neighbours that share tags, heads, taste, speed."""
    from admin.operators.encoders import judge
    from admin.operators.encoders.labelled import load_folder, load_openmoji

    if (pictures is None) != (tags is None):
        raise UsageError("--pictures and --tags: expected both or neither; name the folder and the file of its tags")
    folders = EncoderFolders(client_settings(data_dir).encoders_path)
    labelled = load_openmoji() if pictures is None or tags is None else load_folder(pictures, tags)
    judged = names or usable(folders)
    rows = judge.judge(folders, judged, labelled, splits)
    best = judge.recommended(rows, judge.trained_here(folders, judged))
    report = {"rows": [row.document() for row in rows], "recommended": best, "pictures": len(labelled.tags)}
    if json_file is not None and str(json_file) != "-":
        write_json(json_file, report)
    if plot is not None:
        judge.plot(rows, plot)
    if str(json_file) == "-":
        print_json(report)
        return
    print_figures(rows if layers else [row for row in rows if row.layer == "vector"])
    out.print(
        f"Recommended: {best}. Of encoders whose mAP is within a standard deviation of the best, one that was not "
        "trained here comes first, then the fastest."
    )


def usable(folders: EncoderFolders) -> list[str]:
    """Encoders that can be loaded here."""
    names = []
    for name in folders.names():
        with contextlib.suppress(ConfigurationError):
            folders.manifest(name)
            names.append(name)
    return names


def print_figures(rows: Sequence["Row"]) -> None:
    """Rows of figures, as a table of 80 columns."""
    shown = ("p_at_5", "p_at_10", "hamming", "lrap", "map", "pair_accuracy", "images_per_second")
    heads = ("P@5", "P@10", "bits P@5", "LRAP", "mAP", "pairs", "/s")
    print_table(
        (
            [
                row.encoder if row.layer == "vector" else f"  {row.layer}",
                *(_figure(getattr(row, name)) for name in shown),
            ]
            for row in rows
        ),
        "encoder",
        *(Column(head, justify="right") for head in heads),
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value < 10 else f"{value:.0f}"


def said(made: Manifest) -> None:
    """What was made, and how it is used."""
    out.print(f"encoder {made.name}, version {made.version}")
    errors_out.print(
        f"Vectors of two encoders are never mixed: MEKIKI_ENCODER__NAME={made.name} takes a new data directory or "
        "collection."
    )
