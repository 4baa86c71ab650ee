"""Which images are known: released by the join a while ago, or in the index.

In: image ids. Out: yes or no, remembered for the ids seen last. An index that is away says no for now: the tag waits.
"""

from collections import OrderedDict
from collections.abc import Iterable

from models.errors import InfrastructureError
from stream.index.contract import VectorIndex

KEEP_IDS = 100_000  # some 20 MB; most tags come soon after their image
ASKED_AT_ONCE = 256


class KnownImages:
    """A bounded memory in front of the index. One thread only."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, image_id: str) -> None:
        """The image was released: whatever names it comes after it."""
        self._ids[image_id] = None
        self._ids.move_to_end(image_id)
        if len(self._ids) > KEEP_IDS:
            self._ids.popitem(last=False)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._ids

    def look_up(self, image_ids: Iterable[str]) -> None:
        """Ask the index for those not known yet; what it has is known from now on."""
        unknown = list(dict.fromkeys(i for i in image_ids if i not in self._ids))[:ASKED_AT_ONCE]
        if not unknown:
            return
        try:
            found = self._index.fetch(unknown)
        except InfrastructureError:
            return
        for image_id in found:
            self.add(image_id)
