"""What docs/api.md says to type, typed."""

import os
import subprocess
import sys

import pytest

from tests.cluster import ROOT, wait_for
from tests.e2e.conftest import drawing
from tests.e2e.recipes import recipe


@pytest.fixture
def run(service, tmp_path):
    """Runs a command in a folder with a cat.jpg; its output."""

    def run(*command):
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "cat.jpg").write_bytes(drawing(900, ".jpg"))
    return run


def test_curl(service, run, tmp_path):
    said = run("bash", "-ec", recipe("api.md", "With curl", **{"http://127.0.0.1:8080": service.url}))
    assert '"image_id":"cats/1.jpg"' in said and '"results":[{' in said and '"above_threshold"' in said
    assert (tmp_path / "small.webp").read_bytes().startswith(b"RIFF")
    wait_for(lambda: service.get("/v1/images/cats%2F1.jpg").status_code == 404, "the deletion")


def test_python(service, run, tmp_path):
    run(sys.executable, "-c", recipe("api.md", "With Python", **{"http://127.0.0.1:8080": service.url}))
    assert (tmp_path / "small.webp").read_bytes().startswith(b"RIFF")
    wait_for(lambda: service.get("/v1/images/cats%2F2.jpg").status_code == 404, "the deletion")
