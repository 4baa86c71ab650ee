"""What a process of the service is set to, seen from a process of its own."""

import os
import platform
import re
import subprocess
import sys

import pytest

from stream.process import SCHED_SETATTR, SLICE_NS

PROBE = """
import gc, os, sys
from stream.process import tune_process, work_in_long_slices
if "other system" in sys.argv:
    batch, os.SCHED_BATCH = os.SCHED_BATCH, None
    del os.SCHED_BATCH
    work_in_long_slices()
    print(os.sched_getscheduler(0) == batch)
else:
    work_in_long_slices()
    tune_process()
    print(os.sched_getscheduler(0) == os.SCHED_BATCH)
    print(sys.getswitchinterval() < 0.001, gc.get_threshold()[0] > 5_000, gc.get_freeze_count() > 10_000)
"""
SLICE = """
import ctypes, os, sys
from stream.process import SCHED_ATTR, work_in_long_slices
os.nice(3)
work_in_long_slices()
found = ctypes.create_string_buffer(SCHED_ATTR.size)
ctypes.CDLL(None).syscall(int(sys.argv[1]) + 1, 0, found, SCHED_ATTR.size, 0)  # sched_getattr is the next one
print(*SCHED_ATTR.unpack(found.raw)[3:6:2])
"""
HEAPS = """
import ctypes, sys, threading
if "one" in sys.argv:
    from stream.process import share_one_heap
    share_one_heap()
library, parts, all_there = ctypes.CDLL(None), [], threading.Barrier(4)
def allocate():
    all_there.wait()
    parts.extend(bytes(20_000) for _ in range(200))
threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
library.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(library.fdopen(1, b"w"))
library.malloc_info(0, out)
library.fflush(out)
"""
BLAS = """
from stream.environment import load_settings
from stream.process import configure_process, tune_process
configure_process(load_settings())
import stream.learn.tags, stream.learn.tagger_state
from threadpoolctl import ThreadpoolController
found = ThreadpoolController().select(user_api="blas").info()
tune_process()
print(len({library["filepath"] for library in found}))
print({library["num_threads"] for library in ThreadpoolController().select(user_api="blas").info()} == {1})
"""
pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="the scheduler is not Linux's")


def said(*arguments, code=PROBE):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()


def test_a_worker_runs_in_long_slices_and_is_rarely_interrupted_by_the_collector():
    assert said() == ["True"] * 4


def test_a_system_without_such_a_scheduler_is_left_as_it_is():
    assert said("other system") == ["False"]


def release():
    return tuple(map(int, re.findall(r"\d+", platform.release())[:2]))


@pytest.mark.skipif(release() < (6, 12), reason="this Linux has slices of its own length")
@pytest.mark.skipif(platform.machine() not in SCHED_SETATTR, reason="the call's number is not known for this processor")
def test_the_slices_are_as_long_as_eight_pictures_and_the_priority_is_what_it_was():
    lower = os.getpriority(os.PRIO_PROCESS, 0) + 3  # the tests themselves may run at a lower priority
    assert said(str(SCHED_SETATTR[platform.machine()]), code=SLICE) == [str(lower), str(SLICE_NS)]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no heaps of threads")
def test_threads_share_one_heap_where_asked():
    assert [said(word, code=HEAPS).count("<heap") for word in ("one", "many")] == [1, 5]


def test_every_blas_of_the_tags_worker_runs_on_one_thread():
    libraries, on_one = said(code=BLAS)
    assert int(libraries) >= 2  # NumPy's and SciPy's
    assert on_one == "True"
