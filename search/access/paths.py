"""Paths as they were sent: an id of any characters is one segment, and HEAD is GET without its body.

In: a request whose path the server has decoded. Out: the same with its path still percent-encoded, as routes match it;
`id_of` decodes a segment, `quote_id` writes one. Nothing fails.
"""

from urllib.parse import quote, unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOT_DOTS = "\x7f"  # behind an id of dots alone, which clients would take for a step up the path; no id may hold it
WITH_HOST = ("http://", "https://")  # as proxies write what they ask for
ALLOWED = "/%:@!$&'()*+,;=~"  # in a path, beside letters and digits; % stays, since the path is encoded already


def quote_id(image_id: str) -> str:
    """An id as one segment of a path."""
    return quote(image_id + NOT_DOTS if image_id in (".", "..") else image_id, safe="")


def id_of(segment: str) -> str:
    """The id that a segment of a path names."""
    return unquote(segment).removesuffix(NOT_DOTS)


def bytes_url(image_id: str) -> str:
    """Where the bytes of an image are, within the API."""
    return f"/v1/images/{quote_id(image_id)}/bytes"


class Paths:
    """Hands on requests with the path of the wire."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the application's start and end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = quote(scope.get("raw_path") or scope["path"], safe=ALLOWED)
        scope["path"] = "/" + "".join(path.split("/", 3)[3:]) if path.startswith(WITH_HOST) else path
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        asked = {**scope, "method": "GET"}  # a copy: the server goes by the method to know that no body follows
        try:
            await self._app(asked, receive, without_body)
        finally:
            scope["route"] = asked.get("route")
