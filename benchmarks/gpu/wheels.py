"""Wheels for a machine that has torch and nothing else: collected on one, installed on the other.

In: pyproject.toml and constraints.txt of this tree. Out: a folder of wheels, or a virtual environment made of it. Fails
with ConfigurationError. The standard library alone: it runs where nothing is installed yet.

    python -m benchmarks.gpu.wheels FOLDER [OPTIONS OF pip download, e.g. --python-version 3.12]
"""

import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from models.errors import ConfigurationError, UsageError

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
FOR_TESTS = {"hypothesis", "pytest", "pytest-timeout"}  # of the extra `test`: what the tests marked `gpu` import
IMPORTED = ("numpy", "cv2", "onnxruntime", "river", "pytest")  # some of what the parts import
VENDOR = {"torch"}  # comes with the machine, built for its GPU


def needed() -> list[str]:
    """Requirements of the parts, but for torch."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(text for text in project["optional-dependencies"]["test"]
             if name_of(text) in FOR_TESTS)]  # fmt: skip
    return [text for text in asked if name_of(text) not in VENDOR]


def name_of(requirement: str) -> str:
    """`qdrant-client>=1.20` -> `qdrant-client`."""
    return re.split(r"[\[<>=! ]", requirement, maxsplit=1)[0]


def check_installed() -> None:
    """Refuse to begin where parts of it could not be imported.

    Raises:
        ConfigurationError: a package is missing.
    """
    missing = [name for name in IMPORTED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"package {missing[0]}: not installed; name a folder of make gpu-wheels with --wheels")


def collect(folder: Path, options: Sequence[str] = ()) -> None:
    """Download what is needed, in the versions that are tested here.

    Raises:
        ConfigurationError: pip could not.
    """
    asked = ["--dest", str(folder), "--only-binary", ":all:", "-c", str(CONSTRAINTS), *options, *needed()]
    _pip(sys.executable, ["download", *asked], 600)


def install(wheels: Path, venv: Path, limit_s: float) -> Path:
    """The Python of a new virtual environment that has these wheels, and what the machine has.

    Raises:
        UsageError: there are no wheels.
        ConfigurationError: one is missing, or it took too long.
    """
    if not any(wheels.glob("*.whl")):
        raise UsageError(f"--wheels {wheels}: expected a folder of wheels; make one with make gpu-wheels")
    command = [sys.executable, "-m", "venv", str(venv)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    python = venv / "bin" / "python"
    if done.returncode or not python.exists():
        said = (done.stdout + done.stderr).strip()[-300:]
        raise ConfigurationError(f"venv {venv}: not made ({said}); install Python's venv and ensurepip")
    for packages in venv.glob("lib/python*/site-packages"):
        (packages / "machine.pth").write_text("\n".join(_machines()) + "\n")
    offline = ["--no-index", "--find-links", str(wheels), "-c", str(CONSTRAINTS), *needed()]
    _pip(str(python), ["install", *offline], limit_s)
    return python


def _machines() -> list[str]:
    """Folders of packages of the Python that runs this, torch's among them; after a venv's own ones.

    Not `--system-site-packages`: that leaves out torch where this Python is of a virtual environment itself.
    """
    return [folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]


def _pip(python: str, arguments: Sequence[str], limit_s: float) -> None:
    command = [python, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s)
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"pip {arguments[0]}: expected it to end in {limit_s:.0f} s; try again") from None
    if done.returncode:
        said = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR")] or [""]
        raise ConfigurationError(
            f"pip {arguments[0]}: {said[0][-300:]}; collect the wheels again with make gpu-wheels, for this Python "
            f"({sys.version_info.major}.{sys.version_info.minor})"
        )


def main(arguments: Sequence[str]) -> int:
    """Collect; the exit code."""
    if not arguments:
        print("wheels: expected a folder to put them in", file=sys.stderr)
        return UsageError.exit_code
    try:
        collect(Path(arguments[0]), arguments[1:])
    except ConfigurationError as error:
        print(f"mekiki: {error}", file=sys.stderr)
        return error.exit_code
    wheels = list(Path(arguments[0]).glob("*.whl"))
    print(f"{len(wheels)} wheels, {sum(wheel.stat().st_size for wheel in wheels) // 2**20} MB, in {arguments[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
