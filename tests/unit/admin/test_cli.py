"""The root of the command line: its help, and completion in shells."""

import os
import subprocess
import sys

import pytest

from tests.cluster import ROOT


def mekiki(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "admin.cli", *arguments], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "COLUMNS": "80", **environment},
    )  # fmt: skip
    return done.stdout


def test_help_says_what_is_for_whom():
    said = mekiki("--help")
    people, operators = said.partition("For operators")[::2]
    for command in ("post", "tag", "click", "search", "predict", "images", "tags"):
        assert f"│ {command} " in people
    for command in ("up", "serve", "status", "doctor", "work", "topics", "dlq", "encoder"):
        assert f"│ {command} " in operators


@pytest.mark.parametrize(("shell", "asked", "found"), [
    ("bash", {"COMP_WORDS": "mekiki se", "COMP_CWORD": "1"}, {"search", "serve"}),
    ("bash", {"COMP_WORDS": "mekiki images d", "COMP_CWORD": "2"}, {"delete"}),
    ("fish", {"_TYPER_COMPLETE_ARGS": "mekiki dlq s", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}, {"show", "skip"}),
    ("zsh", {"_TYPER_COMPLETE_ARGS": "mekiki pre"}, {"predict"}),
])  # fmt: skip
def test_shells_complete_commands(shell, asked, found):
    said = mekiki(_MEKIKI_COMPLETE=f"complete_{shell}", **asked)
    assert all(name in said for name in found)
    assert "demo" not in said


def test_a_command_starts_without_what_it_does_not_need():
    """Each of these takes seconds to import, and every call of `mekiki` would pay for it."""
    heavy = ("torch", "river", "qdrant_client", "scipy", "onnxruntime", "matplotlib", "fastapi")
    code = f"import sys, admin.cli; print(*(name for name in {heavy} if name in sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.split() == []
