"""`mekiki encoder list|show|import|fit`: which encoders there are, and new ones."""

from pathlib import Path
from typing import Annotated, Any

import typer

from admin.connect import client_settings
from admin.console import errors_out, out, print_json, print_table
from admin.options import AsJson, DataDir
from models.encoders.registry.folders import DEFAULT, EncoderFolders
from models.encoders.registry.manifest import Manifest
from models.errors import ConfigurationError
from stream.workers import encoder_folders

app = typer.Typer(no_args_is_help=True, help="Encoders: the frozen networks that turn pictures into vectors.")
NewName = Annotated[str, typer.Option("--as", help="Name of the new encoder.")]
CacheDir = Annotated[
    Path | None, typer.Option(envvar="MEKIKI_CACHE_DIR", help="Keeps a network's graph; without it ~/.cache/mekiki.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; without it all.")]


@app.command(name="list")
def list_encoders(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """The encoders there are; * marks the one that the settings name."""
    settings = client_settings(data_dir)
    rows = [_row(encoder_folders(settings), name, settings.encoder.name) for name in encoder_folders(settings).names()]
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
    folders = encoder_folders(client_settings(data_dir))
    manifest = folders.manifest(name)
    for file in () if manifest.network == name else manifest.files:
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

    taken, trial = take_network(encoder_folders(client_settings(data_dir)), graph, manifest, threads)
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
    made = fit_encoder(encoder_folders(settings), of, name, source, dimension, threads=threads, cache_dir=cache_dir)
    said(made)


def said(made: Manifest) -> None:
    """What was made, and how it is used."""
    out.print(f"encoder {made.name}, version {made.version}")
    errors_out.print(
        f"Vectors of two encoders are never mixed: MEKIKI_ENCODER__NAME={made.name} takes a new data directory or "
        "collection."
    )
