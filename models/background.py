"""One thread for work beside the learner's own: the other core is free meanwhile.

In: calls. Out: their futures, done in the order they came.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


class BackgroundThread:
    """A thread that starts with the first call. Whoever makes one closes it; used from its owner's thread only."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    def submit(self, work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Future[Result]:
        """Run `work` on the thread, after what was submitted before."""
        return self._executor.submit(work, *args, **kwargs)

    def close(self) -> None:
        """End the thread when it is done with what it has; a later `submit` starts another."""
        self._executor.shutdown(wait=True)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=self._name)

    def __reduce__(self) -> tuple[type["BackgroundThread"], tuple[str]]:
        """A copy of the owner, as river makes them, gets a thread of its own."""
        return BackgroundThread, (self._name,)
