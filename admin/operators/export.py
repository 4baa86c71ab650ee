"""`mekiki export tags`: what was learned at a point of the log, as features for other models."""

from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from admin.connect import client_settings, running_service
from admin.console import out, print_json, progress
from admin.options import DataDir
from models.errors import StateLostError, StorageUnavailableError
from stream.export.table import Format, load_arrow
from stream.export.tags import Manifest, check_free, manifest_path, write_tags
from stream.learn.replay import TOPIC, replay
from stream.learn.tagger_state import open_tagger
from stream.log.reading.consume import LogReader
from stream.settings import Settings

app = typer.Typer(help="What was learned, as files for other models.", no_args_is_help=True)


@app.callback()
def export() -> None:
    """What was learned, as files for other models."""


@app.command()
def tags(
    at: Annotated[
        int | None,
        typer.Option(min=0, help="Offset of examples.v1: the records before it count. Without it all that there are."),
    ] = None,
    format: Annotated[Format, typer.Option(help="Of the table.")] = "parquet",
    out_file: Annotated[
        Path | None, typer.Option("--out", help="The table; its manifest is FILE.json. Without it tags.FORMAT here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The manifest on standard output.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Probabilities of every tag for every picture somebody tagged, as they were at a point of the log."""
    path = out_file or Path(f"tags.{format}")
    check_free(path)
    if format == "parquet":
        load_arrow()
    manifest = _export(client_settings(data_dir), at, path, format)
    if as_json:
        print_json(asdict(manifest))
        return
    words = len(manifest.vocabulary)
    out.print(f"{path}: {manifest.rows} pictures x {words} tags at offset {manifest.offset}", soft_wrap=True)
    out.print(f"{manifest_path(path)}: its manifest", soft_wrap=True)


def _export(settings: Settings, at: int | None, path: Path, format: Format) -> Manifest:
    running = running_service(settings.data_path)
    embedded = running is not None and running.bootstrap_servers == settings.kafka.bootstrap_servers
    with ExitStack() as stack:
        reader = stack.enter_context(closing(LogReader(settings, (TOPIC,), "export", lambda: ())))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="mekiki-export-")))
        state = stack.enter_context(closing(open_tagger(settings.model_copy(update={"data_dir": folder}))))
        bar = stack.enter_context(progress())
        replaying = bar.add_task("replaying examples.v1", total=at, note="")
        try:
            end = replay(
                reader, state, at=at, embedded=embedded, on_progress=lambda done: bar.update(replaying, completed=done)
            )
        except StateLostError as error:
            raise StorageUnavailableError(f"folder {folder}: {error.__cause__}; free space, or set TMPDIR") from error
        bar.update(replaying, total=end.offset)
        writing = bar.add_task("predicting", total=None, note="")
        return write_tags(
            state, end, path=path, format=format, on_progress=lambda rows: bar.update(writing, completed=rows)
        )
