"""What a process of the service is set to, seen from a process of its own."""

import os
import subprocess
import sys

import pytest

PROBE = """
import gc, os, sys
from stream.process import settle, work_in_long_slices
if "other system" in sys.argv:
    batch, os.SCHED_BATCH = os.SCHED_BATCH, None
    del os.SCHED_BATCH
    work_in_long_slices()
    print(os.sched_getscheduler(0) == batch)
else:
    work_in_long_slices()
    settle()
    print(os.sched_getscheduler(0) == os.SCHED_BATCH)
    print(sys.getswitchinterval() < 0.001, gc.get_threshold()[0] > 5_000, gc.get_freeze_count() > 10_000)
"""
pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="the scheduler is not Linux's")


def said(*arguments):
    command = [sys.executable, "-c", PROBE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()


def test_a_worker_runs_in_long_slices_and_is_rarely_interrupted_by_the_collector():
    assert said() == ["True"] * 4


def test_a_system_without_such_a_scheduler_is_left_as_it_is():
    assert said("other system") == ["False"]
