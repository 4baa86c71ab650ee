"""Tags of one snapshot by name: as people write them in, rows and what is known of them out."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from models.errors import NotFoundError
from models.tagging.arrays import Float32, Int64
from models.tagging.memory.implications import ancestors
from models.tagging.memory.names import normalise_tag
from models.tagging.serving.columns import TagRow
from models.tagging.serving.snapshot import Snapshot


class TagCatalogue:
    """Looks tags up in one snapshot. Any thread may ask."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    @cached_property
    def rows(self) -> dict[str, int]:
        """Rows of the tags that are served, under every name that means one."""
        hidden = self.snapshot.columns.hidden.tolist()
        served = {name: row for row, name in enumerate(self.snapshot.names) if not hidden[row]}
        return dict(self.snapshot.aliases) | served

    def find(self, tag: str) -> int | None:
        """Row of a tag as written, None if there is no such tag.

        Raises:
            PolicyError: it cannot be one.
        """
        row = self.rows.get(tag)
        return self.rows.get(normalise_tag(tag)) if row is None else row

    def row(self, tag: str) -> int:
        """Row of a tag as written.

        Raises:
            NotFoundError: there is no such tag.
            PolicyError: it cannot be one.
        """
        row = self.find(tag)
        if row is None:
            raise NotFoundError(f"tag {tag!r}: expected one that was used before; `mekiki tags list` shows them")
        return row

    def weights(self, tag: str) -> Float32:
        """Ridge weights [D] of a tag: as a query they find its images. Raises as `row` does.

        A tag that no image carries by itself is found by the weights of those that imply it.
        """
        row = self.row(tag)
        rows = [row] if self.snapshot.columns.counts[row] else [row, *sorted(ancestors(self.snapshot.implied, row))]
        found: Float32 = self.snapshot.ridge.take(np.array(rows)).sum(axis=0)
        return found

    def tag(self, name: str) -> TagRow:
        """What is known of a tag as written. Raises as `row` does."""
        return self._known(self.row(name))

    def thresholds(self, tags: Sequence[str]) -> Float32:
        """Probability from which on each of these tags [N] is predicted; NaN before anything was evaluated.

        Raises as `row` does.
        """
        return self._thresholds(np.array([self.row(tag) for tag in tags], np.int64))

    def tags(self, limit: int | None = None, prefix: str = "") -> list[TagRow]:
        """The first `limit` tags with this beginning, as written, those on most images first.

        Raises:
            PolicyError: `prefix` cannot be the beginning of a tag.
        """
        begins = normalise_tag(prefix) if prefix.strip() else ""
        names, columns = self.snapshot.names, self.snapshot.columns
        known = [row for row, name in enumerate(names) if name.startswith(begins) and not columns.hidden[row]]
        known.sort(key=lambda row: (-int(columns.carried[row]), names[row]))
        return [self._known(row) for row in known[:limit]]

    def _known(self, row: int) -> TagRow:
        columns = self.snapshot.columns
        return TagRow(
            name=self.snapshot.names[row],
            count=int(columns.carried[row]),
            tagged=int(columns.counts[row]),
            first_seen=int(columns.first_seen[row]),
            quality=float(columns.quality[row]),
            drift=int(columns.drift[row]),
            threshold=float(self._thresholds(np.array([row]))[0]),
        )

    def _thresholds(self, rows: Int64) -> Float32:
        found: Float32 = self.snapshot.columns.thresholds[rows]
        return found if self.snapshot.quality.images else np.full_like(found, np.nan)
