"""What an installation gets: every room, commands of entry points, and a version for every package."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import typer

from admin.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS = ("models", "stream", "search", "admin", "benchmarks")
PINNED_ELSEWHERE = {"torch", "mekiki"}  # torch in the Makefile; ours is what is installed


def test_every_folder_with_code_is_packaged():
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    found = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == found


def test_commands_of_entry_points_can_be_loaded():
    for name, where in PYPROJECT["project"]["entry-points"][COMMANDS].items():
        command = importlib.metadata.EntryPoint(name, where, COMMANDS).load()
        assert isinstance(command, typer.Typer)
        assert command.registered_commands


def test_every_package_that_is_asked_for_has_its_version():
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    asked = [*PYPROJECT["project"]["dependencies"], *(name for extra in extras for name in extra)]
    names = {re.match(r"[\w.-]+", text)[0] for text in asked} - PINNED_ELSEWHERE
    assert {normalised(name) for name in names} <= {normalised(name) for name in pinned}


def normalised(name):
    """One spelling of a package's name, as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()
