"""Children that die, hang or run out of memory: the file in question alone is answered for."""

import os
import signal
import threading
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from models.errors import ConfigurationError, PoisonError
from stream.pictures.decode_pool import Decoded, DecodePool, Limits


def picture(side_px: int = 300) -> bytes:
    image = np.random.default_rng(2).integers(0, 255, (side_px, side_px, 3), np.uint8)
    return bytes(cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1])


def pids() -> list[int]:
    """Of the children of all pools."""
    return sorted(
        child.pid for child in psutil.Process().children() if "stream.pictures.decode_child" in child.cmdline()
    )


def test_many_at_once_come_back_in_order() -> None:
    contents = [picture(side) for side in range(20, 60)]
    with DecodePool(2) as pool:
        before = pids()
        answers = pool.decode_many(contents)
        assert len(before) == 2 and pids() == before
    assert [answer.width_px for answer in answers if isinstance(answer, Decoded)] == list(range(20, 60))


def test_a_child_killed_in_mid_decode_is_replaced_and_the_file_decoded() -> None:
    with DecodePool(1) as pool:
        (pid,) = pids()
        os.kill(pid, signal.SIGSTOP)  # so that the file is surely in flight when the child dies
        answers: list[Decoded | PoisonError] = []
        asking = threading.Thread(target=lambda: answers.extend(pool.decode_many([picture()])))
        asking.start()
        os.kill(pid, signal.SIGKILL)
        asking.join()
        assert isinstance(answers[0], Decoded)
        assert pids() != [pid]


def test_a_hanging_child_passes_its_deadline_and_the_next_file_is_fine() -> None:
    with DecodePool(1, Limits(deadline_s=0.3)) as pool:
        (pid,) = pids()
        os.kill(pid, signal.SIGSTOP)
        (late,) = pool.decode_many([picture()])
        assert isinstance(late, PoisonError) and late.reason == "decode_timeout"
        assert not psutil.pid_exists(pid)
        assert isinstance(pool.decode_many([picture()])[0], Decoded)


def test_a_picture_that_takes_more_work_than_allowed_is_refused_alone() -> None:
    with DecodePool(1, Limits(deadline_s=0.05)) as pool:
        blank = bytes(cv2.imencode(".png", np.zeros((5_000, 5_000, 3), np.uint8))[1])
        large, small = pool.decode_many([blank, picture()])
        assert isinstance(large, PoisonError) and large.reason == "decode_timeout"
        assert isinstance(small, Decoded)


def test_a_picture_that_needs_more_memory_than_allowed_is_refused_alone() -> None:
    with DecodePool(1, Limits(memory_bytes=32_000_000)) as pool:
        (pid,) = pids()
        blank = bytes(cv2.imencode(".png", np.zeros((5_000, 5_000, 3), np.uint8))[1])
        large, small = pool.decode_many([blank, picture()])
        assert isinstance(large, PoisonError) and large.reason == "decode_memory"
        assert isinstance(small, Decoded)
        assert pids() == [pid]


def test_children_end_with_the_pool() -> None:
    pool = DecodePool(2)
    before = pids()
    pool.close()
    assert len(before) == 2 and not any(psutil.pid_exists(pid) for pid in before)
    with pytest.raises(ConfigurationError):
        pool.decode_many([picture()])


def test_the_child_imports_nothing_of_the_service_and_has_no_core_dumps() -> None:
    with DecodePool(1):
        (pid,) = pids()
        mapped = {Path(region.path).name for region in psutil.Process(pid).memory_maps()}
        assert not any("torch" in name or "onnxruntime" in name for name in mapped)
        assert psutil.Process(pid).rlimit(psutil.RLIMIT_CORE) == (0, 0)
        assert psutil.Process(pid).rlimit(psutil.RLIMIT_AS)[0] > 0
