"""Bytes as HTTP answers: whole, in part, or not at all where the client has them.

In: bytes, their ETag, the headers of a request. Out: a response: 200, 206, 304 or 416. Nothing fails.
"""

import re
from collections.abc import Mapping

from fastapi.responses import JSONResponse, Response

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def answer(content: bytes, media_type: str, etag: str, asked: Mapping[str, str]) -> Response:
    """The response to a request with these headers. Of several ranges at once the whole is sent, as RFC 9110 allows."""
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",  # kept, and asked about each time: an id may get another picture
    }
    if _has(asked.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    found = _RANGE.fullmatch(asked.get("range", "").replace(" ", ""))
    if found is None or found.groups() == ("", "") or asked.get("if-range", etag) != etag:
        return Response(content, media_type=media_type, headers=headers)
    first, last = _places(found[1], found[2], len(content))
    if first > last:
        headers["Content-Range"] = f"bytes */{len(content)}"
        text = f"range {found[0]}: expected one within {len(content)} bytes"
        return JSONResponse({"detail": text}, status_code=416, headers=headers)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
    return Response(content[first : last + 1], status_code=206, media_type=media_type, headers=headers)


def _has(listed: str, etag: str) -> bool:
    return any(one.strip().removeprefix("W/") in ("*", etag) for one in listed.split(",") if one.strip())


def _places(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:  # the last so many
        return max(size - int(last), 0), size - 1
    return int(first), min(int(last) if last else size - 1, size - 1)
