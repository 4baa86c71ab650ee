"""In which form each version of the tagger goes out: whole, or as what changed since the last whole one.

In: versions, one after another. Out: the file of each, and its kind. A delta grows with every version after the whole
one it stands on; once it is a large share of that one, or nearly all rows are new anyway, the version is whole.
"""

from models.tagging.serving.delta import encode
from models.tagging.serving.snapshot import Snapshot
from stream.log.model_versions import Kind

DELTA_SHARE = 0.35  # of the whole version's bytes, at most; decision 18 has what others cost
ROWS_SHARE = 0.75  # of all rows of weights, most of any version: where more are new a delta saves little


class SnapshotEncoder:
    """Remembers the last whole version; one thread."""

    def __init__(self) -> None:
        self._full: Snapshot | None = None
        self._full_bytes = 0

    def encode(self, snapshot: Snapshot) -> tuple[bytes, Kind]:
        """The file of the next version, and its kind for `ModelPublisher.publish`."""
        most = DELTA_SHARE * self._full_bytes
        if self._full is not None:
            rows = len(snapshot.ridge.changed(self._full.ridge))
            if rows <= ROWS_SHARE * len(snapshot.ridge) and rows * snapshot.dimension * 4 <= most:
                content = encode(snapshot, self._full)
                if len(content) <= most:
                    return content, "delta"
        content = encode(snapshot)
        self._full, self._full_bytes = snapshot, len(content)
        return content, "full"
