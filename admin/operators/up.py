"""`mekiki up`: the whole service on this machine, until Ctrl-C or SIGTERM."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from admin.console import errors_out, out
from models.errors import StorageUnavailableError
from stream.environment import load_settings

CHECK_INTERVAL_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(up)


def up(
    data_dir: Annotated[Path | None, typer.Option(help="Where index, pictures and learned state stay.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the search API; 0 takes a free one.")
    ] = None,
) -> None:
    """Start broker, index, workers and search API here; Ctrl-C drains, checkpoints and stops."""
    from admin.operators.embedded import EmbeddedService
    from stream.process import configure_process

    settings = load_settings() if data_dir is None else load_settings(data_dir=data_dir)
    if port is not None:
        settings = settings.model_copy(update={"serve": settings.serve.model_copy(update={"port": port})})
    configure_process(settings)
    _check_port(settings.serve.host, settings.serve.port)
    stopping = threading.Event()

    def stop(number: int, frame: object) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with EmbeddedService(settings) as service:
        out.print(f"mekiki is up: search API {service.api_url} (docs at {service.api_url}/docs)")
        out.print(f"Kafka {service.settings.kafka.bootstrap_servers}, data in {service.settings.data_path}")
        out.print("Ctrl-C drains, checkpoints and stops.")
        out.file.flush()
        room = True
        while not stopping.wait(CHECK_INTERVAL_S):
            service.check()
            room = _tell_of_room(service.settings.data_path, room)
        out.print("stopping: draining the log, then checkpointing ...")
        out.file.flush()
    out.print("stopped; a second `mekiki up` on the same data directory goes on from here.")


def _tell_of_room(folder: Path, before: bool) -> bool:
    """Say once that the disk is full, and once that it is not any more; whether there is room."""
    from stream.disk import WRITE_BYTES, check_room

    try:
        check_room(folder, WRITE_BYTES)
    except StorageUnavailableError as error:
        if before:
            errors_out.print(f"mekiki: {error}; until then nothing new is written, and what is posted waits",
                             style="red", markup=False, highlight=False, soft_wrap=True)  # fmt: skip
        return False
    if not before:
        out.print("there is room on the disk again, what waited goes on.")
        out.file.flush()
    return True


def _check_port(host: str, port: int) -> None:
    from admin.operators.serve import listen

    if port:
        listen(host, port).close()
