"""`mekiki work ingest|tags|ranking` and `mekiki serve`: one process of the service each."""

from __future__ import annotations

import socket

import typer

from models.errors import ConfigurationError
from stream.environment import load_settings
from stream.settings import Settings

work = typer.Typer(help="Run one worker against MEKIKI_KAFKA__* and MEKIKI_QDRANT__*.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(work, name="work")
    app.command()(serve)


def _settings() -> Settings:
    from stream.process import configure_process

    settings = load_settings()
    configure_process(settings)
    return settings


@work.command()
def ingest() -> None:
    """Images and tags: decode, embed, index; examples for the tag learner."""
    from stream.workers import run_ingest

    run_ingest(_settings())


@work.command()
def tags() -> None:
    """Examples to tag weights."""
    from stream.workers import run_tags

    run_tags(_settings())


@work.command()
def ranking() -> None:
    """Clicks to a ranker."""
    from stream.workers import run_ranking

    run_ranking(_settings())


@work.command(hidden=True)
def index() -> None:
    """Own the embedded index."""
    from stream.workers import run_index

    run_index(_settings())


def serve() -> None:
    """Run the search API."""
    import uvicorn

    from search.app import create_app
    from search.build import build_service
    from stream.process import on_stop, share_one_heap, tune_process

    settings = _settings()
    share_one_heap()
    listening = listen(settings.serve.host, settings.serve.port)
    server = uvicorn.Server(uvicorn.Config(
        create_app(build_service(settings)), log_level="warning", access_log=False, timeout_graceful_shutdown=5,
    ))  # fmt: skip

    def stop() -> None:
        server.should_exit = True

    on_stop(stop)
    tune_process()
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # ours also watch the parent
    server.run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigurationError: the port is busy or not ours to take.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(
        family, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # asyncio asks the protocol for TCP_NODELAY
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise ConfigurationError(
            f"port {port} on {host}: {error.strerror}; stop what uses it or choose another with --port or "
            "MEKIKI_SERVE__PORT"
        ) from error
    listening.listen(128)
    return listening
