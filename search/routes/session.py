"""Sessions of browsers: a cookie in the place of a key."""

from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Request, Response

from search.access.keys import COOKIE, SESSION_S
from search.routes.inputs import SessionIn
from search.routes.parameters import PROBLEMS, Running

router = APIRouter(responses=PROBLEMS, tags=["session"])


@router.post("/v1/session", status_code=204)
def open_session(running: Running, request: Request, response: Response, given: Annotated[SessionIn, Body()]) -> None:
    """Give a key, get a cookie that stands for it for twelve hours; scripts of the page cannot read it."""
    cookie = running.keys.session(given.key)
    if cookie is None:
        raise HTTPException(
            401, "key: not a valid one; see MEKIKI_SERVE__API_KEY", headers={"WWW-Authenticate": "Bearer"}
        )
    response.set_cookie(
        COOKIE, cookie, max_age=SESSION_S, httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )


@router.delete("/v1/session", status_code=204)
def close_session(response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
