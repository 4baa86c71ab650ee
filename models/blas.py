"""BLAS on one thread: the bits of its products then do not depend on the number of cores.

Many small products also do not wait for each other's threads; on a busy machine that took four times the work itself.
"""

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]


@cache
def _libraries() -> ThreadpoolController:
    """Those that are loaded; finding them takes milliseconds, and they stay."""
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[object]:
    """While it is entered, products of the whole process run on one thread each."""
    limit: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limit
