"""When the tagger's next version goes out, and how much of it is brought up to date.

A *partial* refresh has new and rare tags up to date, a *full* one all of them. In: how much is unpublished, and what
publishing costs. Out: when the next version is due, and its kind. Pure: the clock comes with the call, in seconds.
"""

MAX_PAUSE_S = 1.0  # between two versions: a new tag is to be served within a second
AGAIN_S = 1.0  # after the last example, once more: a solve in the background may have ended since
FULL_S = 15.0  # between two full refreshes
LATE_PAUSE_S = 5.0  # while the worker is behind: a version of old records need not come every second
WORK_SHARE = 0.02  # of the worker's time that publishing may take: a large state is published less often


class RefreshSchedule:
    """The times of the last versions; one thread."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._published_s: float | None = None
        self._cost_s = 0.0
        self._full_at_s = 0.0
        self._again_at_s: float | None = 0.0

    def due_at_s(self, *, unpublished: bool, behind_s: float) -> float | None:
        """When the next version is due; None while there is nothing to publish.

        Args:
            unpublished: whether something was learned since the last version.
            behind_s: how old what was learned last was, beyond what is usual.
        """
        if not unpublished:
            return self._again_at_s
        longest_s = max(MAX_PAUSE_S, min(behind_s, LATE_PAUSE_S))
        return (self._published_s or 0.0) + max(self._interval_s, min(self._cost_s / WORK_SHARE, longest_s))

    def is_partial(self, now_s: float, *, unpublished: bool) -> bool:
        """Whether the version that is due now may leave tags that changed little for later."""
        return unpublished and now_s < self._full_at_s

    def full_next(self) -> None:
        """The next version is a full refresh: whoever operates on tags sees the outcome at once, whole."""
        self._full_at_s = 0.0

    def published(self, now_s: float, cost_s: float, *, partial: bool, unpublished: bool) -> None:
        """A version went out; `unpublished` says that it was due to something learned."""
        first = self._published_s is None
        self._published_s, self._cost_s = now_s, cost_s
        self._again_at_s = now_s + AGAIN_S if unpublished or first else None
        if not partial:
            self._full_at_s = now_s + FULL_S
