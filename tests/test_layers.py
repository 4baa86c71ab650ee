"""Imports go one way: admin, search -> stream -> models; and models know no broker, no index, no settings."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = {"models", "stream", "search", "admin", "benchmarks", "tests"}
MAY_IMPORT = {
    "models": {"models"},
    "stream": {"stream", "models"},
    "search": {"search", "stream", "models"},
    "admin": {"admin", "search", "stream", "models", "benchmarks"},
}
NOT_IN_MODELS = {
    "kafka", "qdrant_client", "qdrant_edge", "fastapi", "uvicorn", "httpx", "typer", "rich", "pydantic",
    "pydantic_settings", "prometheus_client", "grpc", "fsspec",
}  # fmt: skip
CLOCKS = {("time", "time"), ("time", "monotonic"), ("time", "sleep"), ("datetime", "now"), ("datetime", "utcnow")}
FILES = [(package, path) for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
IDS = [str(path.relative_to(ROOT)) for _, path in FILES]


def imported(tree: ast.AST) -> set[str]:
    """Top-level names of everything imported anywhere in a file, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@pytest.mark.parametrize(("package", "path"), FILES, ids=IDS)
def test_imports_go_one_way(package, path):
    assert imported(parse(path)) & OURS <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", [path for package, path in FILES if package == "models"], ids=lambda path: path.name)
def test_models_know_no_neighbour_and_no_clock(path):
    tree = parse(path)
    assert not imported(tree) & NOT_IN_MODELS
    attributes = [
        node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]
    assert not {(node.value.id, node.attr) for node in attributes} & CLOCKS


@pytest.mark.parametrize(("package", "path"), FILES, ids=IDS)
def test_nothing_is_pickled_and_only_admin_prints(package, path):
    tree = parse(path)
    assert not imported(tree) & {"pickle", "dill", "joblib", "shelve", "cloudpickle"}
    printed = [
        n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "print"
    ]
    assert package == "admin" or not printed


@pytest.mark.parametrize(("package", "path"), FILES, ids=IDS)
def test_no_settings_are_built_at_import(package, path):
    calls = [
        n for node in parse(path).body if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) for n in ast.walk(node)
    ]
    names = {n.func.id for n in calls if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not names & {"Settings", "load_settings"}
