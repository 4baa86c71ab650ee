"""`mekiki up`: the whole service on this machine, until Ctrl-C or SIGTERM."""

import signal
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from admin.console import out, print_error
from admin.operators.serve import check_exposure, listen
from models.errors import StorageUnavailableError
from stream.disk import WRITE_BYTES, check_room
from stream.environment import load_settings

CHECK_INTERVAL_S = 0.5


def up(
    data_dir: Annotated[Path | None, typer.Option(help="Where index, pictures and learned state stay.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the search API; 0 takes a free one.")
    ] = None,
) -> None:
    """Start broker, index, workers and search API here; Ctrl-C drains, checkpoints and stops."""
    from admin.operators.embedded import EmbeddedService
    from stream.process import configure_process

    asked: dict[str, Any] = {"data_dir": data_dir, "serve": None if port is None else {"port": port}}
    settings = load_settings(**{name: value for name, value in asked.items() if value is not None})
    configure_process(settings)
    check_exposure(settings.serve)
    if settings.serve.port:
        listen(settings.serve.host, settings.serve.port).close()
    stopping = threading.Event()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with EmbeddedService(settings) as service:
        out.print(f"mekiki is up: search API {service.api_url} (docs at {service.api_url}/docs)")
        out.print(f"Kafka {service.settings.kafka.bootstrap_servers}, data in {service.settings.data_path}")
        out.print(
            "Ctrl-C drains, checkpoints and stops. The log is in memory: if the machine or this process is killed,"
        )
        out.print("what was posted and not yet indexed is gone; what is indexed and learned stays.")
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
    try:
        check_room(folder, WRITE_BYTES)
    except StorageUnavailableError as error:
        if before:
            print_error(f"{error}; until then nothing new is written, and what is posted waits")
        return False
    if not before:
        out.print("there is room on the disk again, what waited goes on.")
        out.file.flush()
    return True
