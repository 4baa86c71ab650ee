"""The tests marked `gpu`, uncompiled: the other parts compile, and what each test would compile takes half a minute."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Outcomes:
    """A plugin of pytest that counts."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count calls, and set-ups that did not come so far."""
        if report.when == "call" or report.outcome != "passed":
            self.counts[report.outcome] += 1
        if report.failed:
            self.failed.append(report.nodeid)


def run(device: str) -> Iterator[tuple[str, Any]]:
    """How many passed, failed, were skipped, and which failed.

    Raises:
        RuntimeError: one failed, or none ran.
    """
    os.environ["TORCH_COMPILE_DISABLE"] = "1"
    outcomes = Outcomes()
    options = [
        "-q",
        "-m",
        "gpu",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        "-W",
        "default",
    ]  # another torch warns of more
    code = pytest.main([*options, *map(str, _files(device))], plugins=[outcomes])
    for outcome in ("passed", "failed", "skipped"):
        yield outcome, outcomes.counts[outcome]
    yield "failures", outcomes.failed
    if code != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with {code!s}")
    if not outcomes.counts["passed"]:
        raise RuntimeError("no test ran")


def _files(device: str) -> list[Path]:
    """Those with such tests alone: other files import what a bare machine lacks. On a CPU a few, to try it out."""
    found = sorted((ROOT / "tests" / "unit" / "models").rglob("test_*.py"))
    marked = [path for path in found if "pytest.mark.gpu" in (text := path.read_text()) or "pretended_device" in text]
    return [path for path in marked if device == "cuda" or path.parent.name == "evidence"]
