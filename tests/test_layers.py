"""Imports go one way, files included; and what a file keeps to itself stays there.

Late imports and imports for type checkers count like any other: a circle that is hidden is still a circle.
"""

import ast
import graphlib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("models", "stream", "search", "admin", "benchmarks")

# Rooms from the ground up. A file may import from its own room and from those before it. What no longer entry
# names belongs to the shorter one: `models.errors` is of `models`, `stream.settings` of `stream`.
ROOMS = (
    "models",
    "models.encoders.efficientnet",
    "models.encoders.networks",
    "models.encoders.sessions",
    "models.encoders.registry",
    "models.encoders",
    "models.tagging.memory",
    "models.tagging.evidence",
    "models.tagging.calibration",
    "models.tagging.serving",
    "models.tagging",
    "models.ranking",
    "models.judging",
    "models.encoders.training.data",
    "models.encoders.training",
    "stream",
    "stream.events",
    "stream.log",
    "stream.pictures.reading",
    "stream.pictures",
    "stream.index",
    "stream.objects",
    "stream.ingest",
    "stream.learn",
    "stream.export",
    "stream.workers",
    "search.access",
    "search.pictures",
    "search.pages",
    "search.words",
    "search",
    "search.objects",
    "search.tags",
    "search.client",
    "search.routes",
    "search.app",
    "admin",
    "admin.people.files",
    "admin.people.importing",
    "admin.people",
    "admin.operators.letters",
    "admin.operators.encoders.training",
    "admin.operators.encoders",
    "admin.operators",
    "admin.demo",
    "admin.cli",
    "benchmarks",
)
FILES_APART = {  # one file that belongs to another room than its folder
    "stream.asyncapi": "stream.log",  # describes events and topics
    "models.tagging.arrays": "models",  # names of array types
    "models.tagging.examples": "models",  # what travels into the learner: frozen, knows nobody
    "models.encoders.base": "models",  # the contract of every encoder
    "models.encoders.raw_features": "models",  # the form in which features are kept
    "search.build": "search.app",
    "stream.build": "stream.workers",
}
PRIVATE = {  # private names of others that are used, with the reason and the version that was looked at
    (
        "models/tagging/memory/sums.py",
        "_sparsetools",
    ): "scipy 1.16: adds into C in place, 2 to 3 times faster; falls back",
    ("tests/pretended_device.py", "_python_dispatch"): "torch 2.13: the only way to see every operation",
    ("tests/pretended_device.py", "_make_wrapper_subclass"): "torch 2.13: the only tensor that says it lives elsewhere",
    (
        "stream/log/reading/consumer.py",
        "_fetcher",
    ): "kafka-python 3.0.12: partitions that were paused are never fetched again",
    ("stream/log/reading/consumer.py", "_paused_partition_records"): "kafka-python 3.0.12: as above",
    ("stream/log/reading/consumer.py", "_next_partition_records"): "kafka-python 3.0.12: as above",
    (
        "stream/log/reading/consumer.py",
        "_coordinator",
    ): "kafka-python 3.0.12: a member that joins again may be forgotten half way",
    (
        "stream/log/unreadable/batches.py",
        "_fetcher",
    ): "kafka-python 3.0.12: its errors do not say which partition it is",
    ("stream/log/unreadable/batches.py", "_parse_fetched_data"): "kafka-python 3.0.12: as above",
}
NOT_IN_MODELS = {
    "kafka", "qdrant_client", "qdrant_edge", "fastapi", "uvicorn", "httpx", "typer", "rich",
    "pydantic_settings", "prometheus_client", "grpc", "fsspec",
}  # fmt: skip
CLOCKS = {("time", "time"), ("time", "monotonic"), ("time", "sleep"), ("datetime", "now"), ("datetime", "utcnow")}
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path: Path) -> str:
    """`stream/log/reading/consume.py` -> `stream.log.reading.consume`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imported(path: Path) -> set[str]:
    """Full names of everything imported anywhere in a file, also inside functions and for type checkers."""
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the room"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@cache
def arrows() -> dict[str, set[str]]:
    """Our files, and those of ours that each imports."""
    known = {name_of(path) for path in FILES}

    def file_of(name: str) -> str | None:
        while name and name not in known:
            name = name.rpartition(".")[0]
        return name or None

    found = {name_of(path): {file_of(name) for name in imported(path)} for path in FILES}
    return {name: {other for other in others if other} - {name} for name, others in found.items()}


def room_of(name: str) -> int:
    """Which room a file is in, by number from the ground up."""
    while name not in ROOMS:
        name = FILES_APART.get(name) or name.rpartition(".")[0]
        assert name, "a file outside every room"
    return ROOMS.index(name)


def test_no_files_import_each_other_in_a_circle():
    try:
        graphlib.TopologicalSorter(arrows()).prepare()
    except graphlib.CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_only_go_down(path):
    above = {other for other in arrows()[name_of(path)] if room_of(other) > room_of(name_of(path))}
    assert not above


def own_names(tree: ast.Module) -> set[str]:
    """Every name that a file itself gives to something."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return names | {node.name for node in ast.walk(tree) if isinstance(node, definitions)}


def private_names_of_others(path: Path) -> set[str]:
    tree = parse(path)
    used = {part for name in imported(path) for part in name.split(".") if part != "__future__"}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} - own_names(tree)
    private = {name for name in used if name.startswith("_") and not name.startswith("__")}
    return {name for name in private if (str(path.relative_to(ROOT)), name) not in PRIVATE}


@pytest.mark.parametrize("path", [*FILES, *TESTS], ids=name_of)
def test_a_private_name_is_used_in_its_file_alone(path):
    assert not private_names_of_others(path)


def test_every_exception_for_a_private_name_is_needed():
    unused = [(file, name) for file, name in PRIVATE if name not in (ROOT / file).read_text()]
    assert not unused


@pytest.mark.parametrize("folder", sorted({path.parent for path in [*FILES, *TESTS]}), ids=name_of)
def test_a_room_is_small(folder):
    files = list(folder.glob("*.py"))
    assert len(files) <= 12
    long = {path.name: lines for path in files if (lines := len(path.read_text().splitlines())) > 250}
    assert not long


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path).startswith("models")], ids=name_of)
def test_models_know_no_neighbour_and_no_clock(path):
    assert not {name.partition(".")[0] for name in imported(path)} & NOT_IN_MODELS
    attributes = [node for node in ast.walk(parse(path)) if isinstance(node, ast.Attribute)]
    used = {(node.value.id, node.attr) for node in attributes if isinstance(node.value, ast.Name)}
    assert not used & CLOCKS


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_is_pickled_and_only_admin_prints(path):
    assert not {name.partition(".")[0] for name in imported(path)} & {
        "pickle",
        "dill",
        "joblib",
        "shelve",
        "cloudpickle",
    }
    calls = [node for node in ast.walk(parse(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert path.relative_to(ROOT).parts[0] in ("admin", "benchmarks") or not [c for c in calls if c.func.id == "print"]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_settings_are_built_at_import(path):
    statements = [node for node in parse(path).body if not isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    calls = [node for statement in statements for node in ast.walk(statement) if isinstance(node, ast.Call)]
    names = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
    assert not names & {"Settings", "load_settings"}
