"""Bodies of requests, within limits of size, time and memory.

In: a request. Out: the same; reading its body raises HTTPException: 413 larger than its route takes, 408 not here in
time, 503 while the bodies of other requests take all the memory there is for them.
"""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.settings import ServeSettings

WITH_PICTURES = ("/v1/search/image", "/v1/predict", "/v1/images")  # paths that take raw pictures
RETRY_AFTER_S = 1
TOO_MUCH = HTTPException(
    503,
    "bodies: the memory for bodies of requests is taken; ask again in a second",
    headers={"Retry-After": str(RETRY_AFTER_S), "Connection": "close"},
)


class Bodies:
    """Counts the bytes of all bodies that were not answered yet; all on one event loop."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app = app
        self._settings = settings
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the application's start and end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._most(scope)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._settings.body_timeout_s
        mine, is_whole = 0, False

        async def limited() -> Message:
            nonlocal mine, is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout_at(until_s):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408,
                    f"body: not here within {self._settings.body_timeout_s:g} s; send it whole",
                    headers={"Connection": "close"},
                ) from None
            is_whole = message["type"] != "http.request" or not message.get("more_body", False)
            size = len(message.get("body", b""))
            if mine + size > most:
                raise _too_large(most)
            if self._held_bytes + size > self._settings.bodies_bytes:
                raise TOO_MUCH
            mine += size
            self._held_bytes += size
            return message

        try:
            await self._app(scope, limited, send)
        finally:
            self._held_bytes -= mine

    def _most(self, scope: Scope) -> int:
        headers = dict(scope["headers"])
        is_json = headers.get(b"content-type", b"").lower().startswith(b"application/json")
        if scope["path"] in WITH_PICTURES and not is_json:
            return self._settings.max_body_bytes
        return self._settings.max_json_bytes


def _too_large(most: int) -> HTTPException:
    return HTTPException(
        413, f"body: expected at most {most} bytes; send a smaller one", headers={"Connection": "close"}
    )
