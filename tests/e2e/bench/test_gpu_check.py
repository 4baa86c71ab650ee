"""`make gpu-check` as its process."""

import json
import subprocess
import sys

import pytest

from models.cuda import cuda_is_available
from tests.cluster import ROOT
from tests.e2e.conftest import clean_environment

ALL = ["tests", "encoder", "decode", "tagger", "autoencoder", "tags", "taste"]


def check(*arguments, timeout_s=60):
    command = [sys.executable, "-m", "benchmarks.gpu", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=timeout_s, check=False
    )


@pytest.mark.skipif(cuda_is_available(), reason="there is a GPU")
def test_no_gpu_is_one_sentence():
    done = check()
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.strip() == (
        "mekiki: device cuda: expected a GPU that torch can use; run this where there is one, or try it with "
        "--device cpu"
    )


def test_wheels_and_a_file_that_cannot_be_are_said_before_the_work(tmp_path):
    done = check("--device", "cpu", "--wheels", tmp_path)
    assert done.returncode == 2
    assert "expected a folder of wheels; make one with make gpu-wheels" in done.stderr
    (tmp_path / "file").touch()
    done = check("--device", "cpu", "--json", tmp_path / "file" / "out.json")
    assert done.returncode == 75
    assert "Traceback" not in done.stderr


def test_a_part_on_a_cpu(tmp_path):
    report = tmp_path / "out.json"
    done = check("--device", "cpu", "--only", "decode", "--json", report)
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    assert (found["id"], found["parts"]["decode"]["outcome"]) == ("G1", "done")
    assert found["torch"] and "driver" in found and "commit" in found
    assert found["parts"]["decode"]["figures"]["images_per_second"] > 0
    assert "decode images_per_second" in done.stdout


@pytest.mark.long
@pytest.mark.timeout(400)
def test_all_parts_on_a_cpu(tmp_path):
    report = tmp_path / "out.json"
    done = check("--device", "cpu", "--json", report, timeout_s=380)
    assert done.returncode == 0, done.stderr
    parts = json.loads(report.read_text())["parts"]
    assert list(parts) == ALL
    assert {part["outcome"] for part in parts.values()} == {"done"}
    assert parts["tests"]["figures"]["passed"] > 0 == parts["tests"]["figures"]["failed"]
    assert parts["encoder"]["figures"]["least_cosine_to_cpu"] > 0.999
    assert parts["tagger"]["figures"]["torch_learned_images_per_second"] > 0
    assert parts["taste"]["figures"]["small-cnn_small_epoch_2_s"] > 0
