"""Requests to the search API, and its refusals as our errors.

In: a method, a path, parameters, a body. Out: the answer. Raises NotFoundError, UsageError for what cannot be asked,
IndexUnavailableError where the API does not answer or says that a neighbour does not.
"""

from collections.abc import Mapping
from typing import Any

import httpx

from models.errors import IndexUnavailableError, NotFoundError, UsageError
from stream.environment import without_credentials

TIMEOUT_S = 45.0  # longer than the API lets `wait=searchable` wait
TRY_LATER = (408, 429)


class Transport:
    """One address; thread-safe. Proxies and .netrc of the environment are not looked at."""

    def __init__(self, url: str, key: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._url = without_credentials(url)  # for sentences
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=timeout_s, trust_env=False)

    def get(self, path: str, **params: Any) -> Any:
        """GET a JSON document."""
        return self.ask("GET", path, params).json()

    def post(self, path: str, content: bytes | None = None, json_body: Any = None, **params: Any) -> Any:
        """POST picture bytes or a JSON document."""
        return self.ask("POST", path, params, content=content, json_body=json_body).json()

    def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] = {},
        *,
        content: bytes | None = None,
        json_body: Any = None,
    ) -> httpx.Response:
        """The answer to one request; parameters that are None are left out."""
        named = {name: value for name, value in params.items() if value is not None}
        try:
            answer = self._client.request(method, path, params=named, content=content, json=json_body)
        except httpx.HTTPError as error:
            raise IndexUnavailableError(
                f"search API at {self._url}: does not answer ({error}); start `mekiki up` or `mekiki serve`"
            ) from error
        if answer.is_success:
            return answer
        text = _detail(answer)
        if answer.status_code == 404:
            raise NotFoundError(text)
        if answer.status_code < 500 and answer.status_code not in TRY_LATER:
            raise UsageError(text)
        raise IndexUnavailableError(f"search API at {self._url}: {text}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
