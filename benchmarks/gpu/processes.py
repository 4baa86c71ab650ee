"""Runs a part in a process of its own: its crash, or its end by the clock, costs no other part its figures.

In: a part's name, a Python, seconds. Out: outcome (done, failed, cut), figures as far as it got, what it said last. The
standard library alone.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHARES_S = {"tests": 90, "encoder": 70, "decode": 15, "tagger": 55, "autoencoder": 40, "tags": 45, "taste": 35}
SAID = 1500  # characters of standard error that are kept


def run_part(name: str, python: Path, folder: Path, device: str, limit_s: float) -> dict[str, Any]:
    """One part, ended with its children when its time is over."""
    figures, said = folder / f"{name}.json", folder / f"{name}.log"
    figures.write_text("{}")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MEKIKI_")}
    environment |= {"PYTHONPATH": str(ROOT), "MEKIKI_CACHE_DIR": str(folder / "cache")}
    command = [str(python), "-m", "benchmarks.gpu.part", name, str(figures), device]
    started_s = time.monotonic()
    with said.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            outcome = "done" if process.wait(limit_s) == 0 else f"failed (exit code {process.returncode})"
        except subprocess.TimeoutExpired:
            outcome = f"cut after {limit_s:.0f} s"
        finally:
            _end(process)
    return {
        "outcome": outcome,
        "seconds": round(time.monotonic() - started_s, 1),
        "figures": json.loads(figures.read_text()),
        "said": said.read_text(errors="replace").strip()[-SAID:],
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and the children it may have left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
