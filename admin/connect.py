"""How a command finds the service: environment variables first, then the running `mekiki up` of the data directory.

In: nothing but settings. Out: settings with broker and API filled in, or an HTTP client. The running service leaves
its addresses in `<data_dir>/service.json`; the file of a service that is gone is ignored.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from models.errors import ConfigurationError, IndexUnavailableError, NotFoundError, UsageError
from stream.environment import load_settings, without_credentials
from stream.settings import Settings

SERVICE_FILE = "service.json"
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ServiceFile:
    """Addresses of a running embedded service."""

    pid: int
    bootstrap_servers: str
    api_url: str

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
    return settings.model_copy(update={"kafka": kafka, "serve": serve})


class Api:
    """The search API as commands use it: answers as dicts, failures as our errors."""

    def __init__(self, settings: Settings, timeout_s: float = TIMEOUT_S) -> None:
        url = settings.serve.url
        if not url:
            raise ConfigurationError(
                "search API: no running `mekiki up` found and MEKIKI_SERVE__URL not set; start one or name its URL"
            )
        self._url = without_credentials(url)  # for sentences
        self._client = httpx.Client(base_url=url, timeout=timeout_s, trust_env=False)

    def get(self, path: str, **params: Any) -> Any:
        """GET a JSON document."""
        return self._ask("GET", path, params).json()

    def post(self, path: str, content: bytes | None = None, json_body: Any = None, **params: Any) -> Any:
        """POST picture bytes or a JSON document."""
        return self._ask("POST", path, params, content=content, json=json_body).json()

    def picture(self, image_id: str) -> bytes:
        """GET the bytes of an image."""
        return self._ask("GET", f"/v1/images/{quote(image_id, safe='')}/bytes").content

    def _ask(self, method: str, path: str, params: Mapping[str, Any] = {}, **body: Any) -> httpx.Response:
        named = {name: value for name, value in params.items() if value is not None}
        try:
            answer = self._client.request(method, path, params=named, **body)
        except httpx.HTTPError as error:
            raise IndexUnavailableError(
                f"search API at {self._url}: does not answer ({error}); start `mekiki up` or `mekiki serve`"
            ) from error
        if answer.is_success:
            return answer
        text = _detail(answer)
        if answer.status_code == 404:
            raise NotFoundError(text)
        if answer.status_code < 500:
            raise UsageError(text)
        raise IndexUnavailableError(f"search API at {self._url}: {text}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
    if isinstance(detail, list) and detail:
        return f"{detail[0].get('loc', ['?'])[-1]}: {detail[0].get('msg', '?')}"
    return str(detail)
