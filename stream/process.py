"""What a process of the service is set to before its work begins, and how it learns that it should end."""

import contextlib
import ctypes
import gc
import logging
import os
import platform
import signal
import struct
import sys
import threading
from collections.abc import Callable

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from stream.environment import PARENT_PIPE
from stream.settings import Settings

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of malloc.h
KEPT_BYTES = 32 * 2**20  # the largest that glibc takes
GARBAGE = 10_000  # new objects between two looks for garbage; a batch of records makes thousands that live briefly
SWITCH_INTERVAL_S = 0.0005  # a thread comes back from native code ten times as often as Python's 5 ms allow
SLICE_NS = 80_000_000  # eight pictures; Linux hands a core on after 1 to 3 ms
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}  # numbers of the system call, which older C libraries do not know
SCHED_ATTR = struct.Struct("=IIQiIQQQ")  # of linux/sched/types.h: size, policy, flags, nice, priority, slice, -, -


def configure_process(settings: Settings) -> None:
    """Log to standard error, ours at the level of the settings, libraries' from WARNING."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    for package in ("stream", "models", "search", "admin"):
        logging.getLogger(package).setLevel(settings.log_level)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters it raises, and closing it logs as an error


def tune_process(blas_threads: int = 1) -> None:
    """Suit Python, the C library and BLAS to work on batches; call it once everything that stays is loaded.

    On two busy cores a 512 x 512 factorisation takes 3 ms with one BLAS thread and 90 ms with two that wait for each
    other: the processes of the service already use all cores between them. NumPy and SciPy each load a BLAS of their
    own; one that is loaded later is not bound.

    A batch needs the same megabytes as the one before, so freed memory is kept where the C library allows; what is
    loaded by now never becomes garbage, so the collector passes it by; and threads come back from native code soon.
    On learning tags it is worth 10 %; kept memory and one heap together save 5 % while pictures come (decision 18).
    """
    threadpool_limits(blas_threads, user_api="blas")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, 4 * KEPT_BYTES)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)


def share_one_heap() -> None:
    """Let all threads allocate from one heap, where the C library is glibc; call it before any thread starts.

    The heaps that other threads than the first get otherwise give their megabytes back after every version of a model,
    and fetch them again page by page: half of the page faults. For processes of which one thread at a time works.
    After 1,500 versions of 8,000 tags the tags worker holds 450 MB instead of 565, the search API 390 instead of 530.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def work_when_idle() -> None:
    """Leave the cores to whoever else wants them; call it before any thread or child starts.

    Being nice is not enough: workers that want throughput interrupt nobody but those of this policy, see sched(7).
    """
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def work_in_long_slices() -> None:
    """Tell the scheduler, where it is Linux's, that this process wants throughput; call it before any thread starts.

    Its threads then do not interrupt whoever runs when they wake up, the encoder above all, but wait for the end of a
    slice, and those are long: the encoder finds its caches warm. The search API and the embedded index still interrupt:
    with the index among the patient ones, one search in twenty took 0.2 s while pictures streamed, without it 30 ms.
    It saves 2 to 5 % of the processor time while pictures come (decision 18).
    Linux before 6.12 has slices of its own length. Source: sched(7), SCHED_BATCH; sched_setattr(2), sched_runtime.
    """
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        number = SCHED_SETATTR.get(platform.machine())
        if number is not None:
            nice = os.getpriority(os.PRIO_PROCESS, 0)
            asked = SCHED_ATTR.pack(SCHED_ATTR.size, os.SCHED_BATCH, 0, nice, 0, SLICE_NS, 0, 0)
            ctypes.CDLL(None).syscall(number, 0, asked, 0)


def on_stop(stop: Callable[[], None], stop_now: Callable[[], None] | None = None) -> None:
    """Call `stop` on SIGTERM and Ctrl-C, and `stop_now` when the embedded service that started us is gone.

    Its broker and its index went with it, so there is nothing to drain or to finish.
    """

    def stop_on_signal(number: int, frame: object) -> None:
        stop()

    signal.signal(signal.SIGTERM, stop_on_signal)
    signal.signal(signal.SIGINT, stop_on_signal)
    if os.environ.get(PARENT_PIPE):

        def wait_for_parent() -> None:
            while os.read(0, 1024):  # not sys.stdin: its lock would be held while the interpreter ends
                continue
            (stop_now or stop)()

        threading.Thread(target=wait_for_parent, name="parent", daemon=True).start()
