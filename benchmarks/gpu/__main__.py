"""`make gpu-check` (G1): the tests that meet a GPU, then how fast it is, in six minutes whatever the machine.

In: options, see --help. Out: a table, and JSON with device, driver, torch and commit. Exit code 78 where there is no
GPU or a package is missing, 1 where a part failed or was cut. The standard library and torch alone, until wheels are
installed.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu.machine import facts_of
from benchmarks.gpu.processes import SHARES_S, run_part
from benchmarks.gpu.wheels import check_installed, install
from models.errors import EXIT_TEMPORARY, MekikiError

TOTAL_S = 350  # of the six minutes; the rest is for the start and the end
INSTALL_S = 120
EXIT_FAILED = 1


def main() -> int:
    """Run it; the exit code."""
    asked = _parser().parse_args()
    started_s = time.monotonic()
    try:
        if asked.json is not None:  # said before six minutes of work, not after
            asked.json.parent.mkdir(parents=True, exist_ok=True)
            asked.json.touch()
        facts = facts_of(asked.device)
        if asked.wheels is None:
            check_installed()
        with tempfile.TemporaryDirectory(prefix="mekiki-gpu-") as folder:
            python = Path(sys.executable)
            if asked.wheels is not None:
                python = install(asked.wheels, Path(folder) / "venv", INSTALL_S)
            left_s = min(asked.seconds, TOTAL_S) - (time.monotonic() - started_s)
            parts = _run(asked.only or list(SHARES_S), python, Path(folder), asked.device, left_s)
    except MekikiError as error:
        print(f"mekiki: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"mekiki: {error.filename} {error.strerror}; check path, permissions and free space", file=sys.stderr)
        return EXIT_TEMPORARY
    report = {"id": "G1", **facts, "seconds": round(time.monotonic() - started_s, 1), "parts": parts}
    for name, value in _rows(report):
        print(f"{name:<58} {value}")
    if asked.json is not None:
        asked.json.write_text(json.dumps(report, indent=2) + "\n")
    bad = [f"{name} {part['outcome']}" for name, part in parts.items() if part["outcome"] != "done"]
    if bad:
        print(f"mekiki: {', '.join(bad)}; what each said last is in its `said`", file=sys.stderr)
    return EXIT_FAILED if bad else 0


def _run(names: list[str], python: Path, folder: Path, device: str, left_s: float) -> dict[str, Any]:
    """Each part with its share of the time that is left, so that what one does not use is the next one's."""
    parts: dict[str, Any] = {}
    end_s = time.monotonic() + left_s
    for number, name in enumerate(names):
        waiting_s = sum(SHARES_S[later] for later in names[number:])
        limit_s = max(0.0, end_s - time.monotonic()) * SHARES_S[name] / waiting_s
        print(f"{name}: up to {limit_s:.0f} s", file=sys.stderr, flush=True)
        parts[name] = run_part(name, python, folder, device, limit_s)
    return parts


def _rows(report: dict[str, Any], above: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in report.items():
        if isinstance(value, dict):
            rows += _rows(value, f"{above}{name} " if name not in ("parts", "figures") else above)
        elif name != "said":
            rows.append((f"{above}{name}", f"{value:.4g}" if isinstance(value, float) else str(value)))
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("make gpu-check", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wheels", type=Path, help="folder that make gpu-wheels filled; nothing is downloaded")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: tiny sizes, to try it out")
    parser.add_argument("--only", action="append", choices=tuple(SHARES_S), help="only this part; may be repeated")
    parser.add_argument("--seconds", type=float, default=TOTAL_S, help=f"for all of it, {TOTAL_S} at most")
    return parser


if __name__ == "__main__":
    sys.exit(main())
