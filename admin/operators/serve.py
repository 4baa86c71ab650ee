"""`mekiki serve`: the search API as a process."""

import socket
from ipaddress import ip_address

from models.errors import ConfigurationError
from stream.environment import load_settings
from stream.settings import ServeSettings

DRAIN_S = 5  # seconds that requests in flight get to finish


def serve() -> None:
    """Run the search API."""
    import uvicorn

    from search.app import create_app
    from search.build import build_service
    from stream.process import configure_process, on_stop, share_one_heap, tune_process

    settings = load_settings()
    configure_process(settings)
    share_one_heap()
    check_exposure(settings.serve)
    listening = listen(settings.serve.host, settings.serve.port)
    server = uvicorn.Server(uvicorn.Config(
        create_app(build_service(settings)), log_level="warning", access_log=False, timeout_graceful_shutdown=DRAIN_S,
        forwarded_allow_ips=settings.serve.trusted_proxies,
    ))  # fmt: skip

    def stop() -> None:
        server.should_exit = True

    on_stop(stop)  # of the signals uvicorn takes care as well; the end of the parent process it does not watch
    tune_process(settings.blas_threads)
    server.run(sockets=[listening])


def check_exposure(serve: ServeSettings) -> None:
    """Refuse to be reached from other machines by anybody at all.

    Raises:
        ConfigurationError: the host is not loopback, and there is neither a key nor the word that none is wanted.
    """
    keys = (serve.api_key, serve.api_key_next, serve.read_key, serve.read_key_next)
    try:
        is_local = serve.host == "localhost" or ip_address(serve.host).is_loopback
    except ValueError:  # a name, of whatever address
        is_local = False
    if not (is_local or serve.open or any(keys)):
        raise ConfigurationError(
            f"MEKIKI_SERVE__HOST {serve.host}: expected a key before other machines can reach the API; set "
            "MEKIKI_SERVE__API_KEY, or MEKIKI_SERVE__OPEN=true where anybody may do everything"
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigurationError: the port is busy or not ours to take.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY for TCP alone
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
