"""How often one caller may ask: a bucket of tokens each.

In: callers, at the times they ask. Out: how long they have to wait. Nothing fails.
"""

from collections import OrderedDict

MOST_CALLERS = 10_000  # that are remembered; of the others each begins with a full bucket


class Rates:
    """So many requests a minute for each caller, at once or spread; for one thread."""

    def __init__(self, per_minute: int) -> None:
        self._most = float(per_minute)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens left, and when that was, in s

    def wait_s(self, caller: str, now_s: float) -> float:
        """Take a token, 0.0; or none, and how long until there is one."""
        left, before_s = self._buckets.pop(caller, (self._most, now_s))
        left = min(self._most, left + (now_s - before_s) * self._most / 60)
        taken = left >= 1
        self._buckets[caller] = (left - taken, now_s)
        while len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - left) * 60 / self._most
