"""In which form each version of the tagger goes out: whole, or as what changed.

In: versions, one after another. Out: the file of each, and what it is to those after it. A version is a delta since
the last one that later deltas apply to, its base. A small delta leaves the base where it is. A large one is a link: it
becomes the base, so that what changed is written once; a site whose tags are new at every moment would otherwise write
everything every second. Links go on until a late follower would read twice as much of them as of a whole version, or
nearly all is new anyway.
"""

from models.tagging.serving.delta import encode
from models.tagging.serving.snapshot import Snapshot
from stream.log.model_versions import Kind

DELTA_SHARE = 0.25  # of the last whole version: a larger delta is a link
LINKS = 8  # after a whole version at most ...
LINKS_SHARE = 2.0  # ... and as much of it in bytes
WHOLE_SHARE = 0.75  # of all rows: where more are new the version is whole


class SnapshotChain:
    """The whole version and the links that a delta stands on; one thread."""

    def __init__(self) -> None:
        self._base: Snapshot | None = None
        self._full_bytes = 0
        self._links_bytes: list[int] = []

    def encode(self, snapshot: Snapshot) -> tuple[bytes, Kind]:
        """The file of the next version, and its kind for `ModelPublisher.publish`."""
        small = DELTA_SHARE * self._full_bytes
        room = LINKS_SHARE * self._full_bytes - sum(self._links_bytes) if len(self._links_bytes) < LINKS else 0.0
        if self._base is not None and self._is_worth_a_delta(snapshot, max(small, room)):
            content = encode(snapshot, self._base)
            if len(content) < small:
                return content, "delta"
            if len(content) <= room:
                self._base = snapshot
                self._links_bytes.append(len(content))
                return content, "link"
        content = encode(snapshot)
        self._base, self._full_bytes, self._links_bytes = snapshot, len(content), []
        return content, "full"

    def _is_worth_a_delta(self, snapshot: Snapshot, room: float) -> bool:
        """Its rows of weights, most of any version, are not nearly all and leave it within the room."""
        assert self._base is not None
        rows = len(snapshot.ridge.changed(self._base.ridge))
        return rows <= WHOLE_SHARE * len(snapshot.ridge) and rows * snapshot.dimension * 4 <= room
