"""From click events to pairs: which picture was preferred over which.

In: events of clicks.v1, in log order. Out: pairs. Remembers the pages that may still be clicked, and the identities of
recent events, since a producer may send one twice. Raises SchemaError for an event that says nothing.
"""

from collections import OrderedDict
from dataclasses import astuple
from typing import Any

from models.errors import SchemaError
from models.ranking.pairs import Pair, pairs_from_click
from stream.events.codec import Envelope
from stream.events.schema import Clicked, Event, Impression, PairClicked

KEEP_IMPRESSIONS = 10_000  # a click comes within minutes of its page
KEEP_IDENTITIES = 10_000  # a producer's retry comes within seconds

Page = tuple[list[str], list[float] | None, list[str]]  # image ids as shown, their propensities, those clicked so far


class PairReader:
    """Reads pairs; one thread."""

    def __init__(self) -> None:
        self._pages: OrderedDict[str, Page] = OrderedDict()
        self._identities: OrderedDict[str, None] = OrderedDict()
        self._missing: OrderedDict[str, list[Pair]] = OrderedDict()  # by identity, what its dead letter stands for

    def read(self, envelope: Envelope) -> list[Pair]:
        """The pairs of an event; of one that was read before only those that were missing then.

        Raises:
            SchemaError: reason `bad_event`, `unknown_impression` or `wrong_topic`; the event counts as not read.
        """
        if envelope.identity in self._missing:
            return self._missing.pop(envelope.identity)
        if envelope.identity in self._identities:
            return []
        pairs = self._pairs_of(envelope.event)
        _keep(self._identities, envelope.identity, None, KEEP_IDENTITIES)
        return pairs

    def keep(self, envelope: Envelope, missing: list[Pair]) -> None:
        """Some pairs of an event could not be used: a replay of its dead letter gives these alone."""
        _keep(self._missing, envelope.identity, missing, KEEP_IDENTITIES)

    def _pairs_of(self, event: Event) -> list[Pair]:
        if isinstance(event, PairClicked):
            if event.preferred == event.over:
                raise SchemaError(f"pair click on {event.preferred!r} twice: expected two images", reason="bad_event")
            return [Pair(event.preferred, event.over)]
        if isinstance(event, Impression):
            propensities = None if event.propensities is None else list(event.propensities)
            _keep(self._pages, event.impression_id, (list(event.shown), propensities, []), KEEP_IMPRESSIONS)
            return []
        if isinstance(event, Clicked):
            return self._pairs_of_click(event)
        raise SchemaError(f"{type(event).__name__} on topic clicks: post it to its own topic", reason="wrong_topic")

    def _pairs_of_click(self, event: Clicked) -> list[Pair]:
        page = self._pages.get(event.impression_id)
        if page is None:
            raise SchemaError(
                f"click on impression {event.impression_id!r}: never seen; post the impression first",
                reason="unknown_impression",
            )
        shown, propensities, clicked = page
        if event.image_id not in shown:
            raise SchemaError(f"click on {event.image_id!r}: not on that page; post what was shown", reason="bad_event")
        pairs = pairs_from_click(shown, event.image_id, propensities, also_clicked=clicked)
        if event.image_id not in clicked:
            clicked.append(event.image_id)
        return pairs

    def state(self) -> dict[str, Any]:
        """Plain JSON that `restore` takes."""
        missing = [(identity, [astuple(pair) for pair in pairs]) for identity, pairs in self._missing.items()]
        return {"pages": list(self._pages.items()), "identities": list(self._identities), "missing": missing}

    def restore(self, document: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self._pages = OrderedDict((name, tuple(page)) for name, page in document["pages"])
        self._identities = OrderedDict.fromkeys(document["identities"])
        self._missing = OrderedDict((name, [Pair(*pair) for pair in pairs]) for name, pairs in document["missing"])


def _keep(memory: OrderedDict[str, Any], key: str, value: object, most: int) -> None:
    """Keep the newest `most` entries."""
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > most:
        memory.popitem(last=False)
