"""How a command finds the service: environment variables first, then the running `mekiki up` of the data directory.

In: nothing but settings. Out: settings with broker and API filled in, or an HTTP client. The running service leaves
its addresses in `<data_dir>/service.json`; the file of a service that is gone is ignored.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from models.errors import ConfigurationError
from search.client import Client
from search.client.transport import TIMEOUT_S
from stream.environment import load_settings
from stream.settings import Settings

SERVICE_FILE = "service.json"


@dataclass(frozen=True)
class ServiceFile:
    """Addresses of a running embedded service."""

    pid: int
    bootstrap_servers: str
    api_url: str
    index_socket: str | None = None

    def write(self, data_path: Path) -> None:
        """Leave the addresses where commands look."""
        (data_path / SERVICE_FILE).write_text(json.dumps(asdict(self)))


def running_service(data_path: Path) -> ServiceFile | None:
    """The service that runs on this data directory, None if there is none."""
    try:
        found = ServiceFile(**json.loads((data_path / SERVICE_FILE).read_text()))
        os.kill(found.pid, 0)
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError, ValueError, TypeError):
        return None
    except PermissionError:
        pass  # it runs, as somebody else
    return found


def client_settings(data_dir: Path | None = None) -> Settings:
    """Settings of a command that talks to a service."""
    settings = load_settings() if data_dir is None else load_settings(data_dir=data_dir)
    running = running_service(settings.data_path)
    if running is None:
        return settings
    kafka, serve = settings.kafka, settings.serve
    if kafka.bootstrap_servers is None:
        kafka = kafka.model_copy(update={"bootstrap_servers": running.bootstrap_servers})
    if serve.url is None:
        serve = serve.model_copy(update={"url": running.api_url})
    index_socket = settings.index_socket or running.index_socket
    return settings.model_copy(update={"kafka": kafka, "serve": serve, "index_socket": index_socket})


class Api(Client):
    """The client of the search API that the settings name."""

    def __init__(self, settings: Settings, timeout_s: float = TIMEOUT_S) -> None:
        serve = settings.serve
        if not serve.url:
            raise ConfigurationError(
                "search API: no running `mekiki up` found and MEKIKI_SERVE__URL not set; start one or name its URL"
            )
        keys = (serve.api_key, serve.api_key_next, serve.read_key, serve.read_key_next)
        key = next((key.get_secret_value() for key in keys if key is not None), None)
        super().__init__(serve.url, key, timeout_s)
