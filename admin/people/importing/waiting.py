"""Waiting until pictures are searchable or dead, or until anything else is so.

In: outcomes of pictures that were posted. Out: the same, as searchable, or dead with the reason. Raises
InfrastructureError when nothing happens for too long.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from admin.connect import Api
from admin.people.importing.report import Outcome
from admin.people.importing.send import known
from models.errors import InfrastructureError
from stream.events.schema import ImagePosted
from stream.log.dead_letter import DeadLetter, read_dead_letter
from stream.log.tail import LogTail

POLL_S = 0.1
LOOK_S = 0.05  # between two looks at one thing that a person waits for
ASKED = 1_000  # ids in one question
TOPIC = "images"


def _event_of(letter: DeadLetter) -> tuple[str, str]:
    """Type and id of the event that a dead letter was."""
    named = {name.lower(): value.decode(errors="replace") for name, value in letter.headers}
    return named.get("ce_type", ""), named.get("ce_id", "")


class Waiter:
    """Knows what was posted and is not searchable yet; begin with it before the first picture is posted."""

    def __init__(self, api: Api, dead: LogTail) -> None:
        self._api = api
        self._dead = dead
        self._pending: dict[str, Outcome] = {}  # by the id of the event

    @property
    def pending(self) -> list[Outcome]:
        """What nothing is known of yet."""
        return list(self._pending.values())

    def expect(self, posted: Outcome) -> None:
        """One more picture is on its way."""
        self._pending[posted.event_id] = posted

    def results(self, timeout_s: float) -> Iterator[Outcome]:
        """What became of each, as soon as it is known.

        Raises:
            InfrastructureError: nothing was known of any for `timeout_s`.
        """
        until_s = time.monotonic() + timeout_s
        pause = threading.Event()
        while self._pending:
            found = [*self._died(), *self._there()]
            for one in found:
                self._pending.pop(one.event_id, None)
                yield one
            if found:
                until_s = time.monotonic() + timeout_s
            elif time.monotonic() >= until_s:
                raise InfrastructureError(
                    f"{len(self._pending)} pictures: posted, but neither searchable nor dead after {timeout_s:g} s "
                    "without news; `mekiki status` shows who is behind"
                )
            else:
                pause.wait(POLL_S)

    def _died(self) -> list[Outcome]:
        letters = (read_dead_letter(TOPIC, record) for record in self._dead.poll())
        events = ((_event_of(letter), letter) for letter in letters if letter is not None)
        return [
            replace(self._pending[event_id], outcome="dead", reason=f"{letter.reason}: {letter.text}")
            for (kind, event_id), letter in events
            if kind == ImagePosted.type and event_id in self._pending
        ]

    def _there(self) -> list[Outcome]:
        """The oldest are asked for; those that are not there go to the end."""
        asked = list(self._pending.values())[:ASKED]
        there = known(self._api, [one.image_id for one in asked])
        found = []
        for one in asked:
            about = there.get(one.image_id)
            if about is not None and about["state"] == "there" and about["sha256"] == one.sha256:
                found.append(replace(one, outcome="searchable"))
            else:
                self._pending[one.event_id] = self._pending.pop(one.event_id)
        return found


def until(condition: Callable[[], Any], timeout_s: float, otherwise: str) -> Any:
    """What the condition gives, once that is something.

    Raises:
        InfrastructureError: it took too long.
    """
    until_s, pause = time.monotonic() + timeout_s, threading.Event()
    while not (found := condition()):
        if time.monotonic() >= until_s:
            raise InfrastructureError(f"{otherwise} within {timeout_s:g} s; `mekiki status` shows who is behind")
        pause.wait(LOOK_S)
    return found
