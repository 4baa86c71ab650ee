"""The gate before all routes: refuses callers without a key and those who ask too often.

In: requests. Out: the same, their level in `scope["state"]["level"]`; or 401, 403, 429 with one sentence.
"""

import math
import time

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from search.access.keys import OPEN, Keys, refusal
from search.access.rates import Rates


class Gate:
    """See the module."""

    def __init__(self, app: ASGIApp, keys: Keys, per_minute: int | None) -> None:
        self._app = app
        self._keys = keys
        self._rates = Rates(per_minute) if per_minute else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the application's start and end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        level, credential = self._keys.of(Headers(scope=scope))
        scope.setdefault("state", {})["level"] = level
        address = scope["client"][0] if scope.get("client") else "unknown"
        answer = self._too_often(credential or address, scope["path"])
        if answer is None and (refused := refusal(scope["method"], scope["path"], level)):
            status, sentence = refused
            headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
            answer = JSONResponse({"detail": sentence}, status_code=status, headers=headers)
        await (answer or self._app)(scope, receive, send)

    def _too_often(self, caller: str, path: str) -> JSONResponse | None:
        if self._rates is None or (path in OPEN and path != "/v1/session"):
            return None
        wait_s = math.ceil(self._rates.wait_s(caller, time.monotonic()))
        if wait_s == 0:
            return None
        sentence = f"requests: more than the settings allow a minute; ask again in {wait_s} s"
        return JSONResponse({"detail": sentence}, status_code=429, headers={"Retry-After": str(wait_s)})
