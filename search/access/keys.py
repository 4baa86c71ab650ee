"""API keys: who may read, who may write.

In: the headers of a request. Out: what it may do. Nothing fails. A key comes in `Authorization: Bearer KEY`, or as the
cookie of POST /v1/session, which holds no key but an end time signed with one. Two keys of each kind may be live at
once, so that one can be replaced while the other is in use.
"""

import hashlib
import hmac
import re
from time import time
from typing import Literal, TypeAlias

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from stream.settings import ServeSettings

Level: TypeAlias = Literal["read", "write"]
COOKIE = "mekiki_session"
SESSION_S = 12 * 3600  # a working day
OPEN = {"/livez", "/healthz", "/readyz", "/v1/session"}  # probes, and where a key is shown
STATIC = "/static/"
READ_POSTS = {"/v1/search/image", "/v1/predict", "/v1/rank", "/v1/images/known"}  # that change nothing
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)


class Keys:
    """The keys of the settings."""

    def __init__(self, settings: ServeSettings) -> None:
        named = (
            ("write", settings.api_key), ("write", settings.api_key_next),
            ("read", settings.read_key), ("read", settings.read_key_next),
        )  # fmt: skip
        self._keys: list[tuple[Level, bytes]] = [
            ("write" if level == "write" else "read", key.get_secret_value().encode()) for level, key in named if key
        ]

    def level(self, given: str) -> Level | None:
        """What a key allows; all are compared, each in constant time."""
        digest = hashlib.sha256(given.encode(errors="replace")).digest()
        found: Level | None = None
        for level, key in self._keys:
            if hmac.compare_digest(hashlib.sha256(key).digest(), digest):
                found = found or level
        return found

    def session(self, given: str) -> str | None:
        """The cookie for a key; None for one that is not valid."""
        level = self.level(given)
        return None if level is None else self._signed(level, int(time()) + SESSION_S, given.encode())

    def level_of_session(self, cookie: str) -> Level | None:
        """What a cookie allows, while the key that signed it is valid and its time is not over."""
        ends = cookie.split(".")[1:2]
        if not ends or not ends[0].isascii() or not ends[0].isdigit() or int(ends[0][:12]) < time():
            return None
        found: Level | None = None
        for level, key in self._keys:
            if hmac.compare_digest(self._signed(level, int(ends[0][:12]), key).encode(), cookie.encode()):
                found = found or level
        return found

    def _signed(self, level: Level, ends: int, key: bytes) -> str:
        return f"{level}.{ends}.{hmac.new(key, f'{level}.{ends}'.encode(), hashlib.sha256).hexdigest()}"

    def of(self, headers: Headers) -> tuple[Level | None, str | None]:
        """What a request may do, and the key or cookie that says so; without keys in the settings everything."""
        if not self._keys:
            return "write", None
        bearer = _BEARER.fullmatch(headers.get("authorization", ""))
        if bearer is not None:
            level = self.level(bearer[1])
            return level, None if level is None else bearer[1]
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        level = self.level_of_session(cookie)
        return level, None if level is None else cookie


def refusal(method: str, path: str, level: Level | None) -> tuple[int, str] | None:
    """The status and sentence for what a level does not allow; None for what it does."""
    if level == "write" or path in OPEN or path.startswith(STATIC):
        return None
    if level is None:
        return 401, "key: none that is valid; send Authorization: Bearer KEY, or open a session with POST /v1/session"
    if method in ("GET", "HEAD") or path in READ_POSTS:
        return None
    return 403, "key: it only reads; use one that may write"
