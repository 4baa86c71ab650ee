"""One embedded service for the whole folder, started as a person starts it: `mekiki up`."""

import json
import os
import signal
import subprocess
import sys

import cv2
import httpx
import numpy as np
import pytest

from stream.log.embedded_broker import free_port
from tests.cluster import ROOT, wait_for


def clean_environment(**extra):
    return {k: v for k, v in os.environ.items() if not k.startswith("MEKIKI_")} | extra


class Service:
    """A running `mekiki up` and the command line beside it."""

    def __init__(self, data_dir, port=None, **environment):
        self.data_dir = data_dir
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = data_dir.parent / f"{data_dir.name}.log"
        self.environment = {"MEKIKI_OBJECTS__PER_IMAGE": "0"} | environment  # a process less, but where it is meant
        self.process = None

    def start(self):
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "admin.cli", "up", "--data-dir", str(self.data_dir), "--port", str(self.port)],
                cwd=ROOT,
                env=clean_environment(**self.environment),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )
        wait_for(self.ready, f"mekiki up, see {self.output}", 90)
        self.bootstrap = json.loads((self.data_dir / "service.json").read_text())["bootstrap_servers"]
        return self

    def ready(self):
        assert self.process.poll() is None, self.output.read_text()
        left = self.data_dir / "service.json"  # of one that was killed, perhaps
        return left.exists() and json.loads(left.read_text())["pid"] == self.process.pid

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(90)

    def get(self, path, **params):
        return httpx.get(self.url + path, params=params or None, timeout=30, trust_env=False)

    def post(self, path, content=None, json=None, **params):
        return httpx.post(
            self.url + path, content=content, json=json, params=params or None, timeout=30, trust_env=False
        )

    def cli(self, *arguments, code=0, **environment):
        """Run `mekiki ...` beside the service; its standard output."""
        done = self.run(*arguments, **environment)
        assert done.returncode == code, f"mekiki {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def run(self, *arguments, **environment):
        """Run `mekiki ...` beside the service; the process that ended."""
        return run_cli(*arguments, MEKIKI_DATA_DIR=str(self.data_dir), **environment)

    def beside(self, *arguments, stdin=subprocess.DEVNULL):
        """A `mekiki ...` that goes on running beside the service, and that Ctrl-C ends as at a terminal."""
        return subprocess.Popen(
            [sys.executable, "-m", "admin.cli", *arguments], cwd=ROOT, text=True, stdin=stdin,
            env=clean_environment(MEKIKI_DATA_DIR=str(self.data_dir)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    def has(self, image_id):
        return self.get(f"/v1/images/{image_id}").status_code == 200

    def tagged(self, image_id, tag):
        answer = self.get(f"/v1/images/{image_id}")
        return answer.status_code == 200 and tag in answer.json()["tags"]

    def letters(self):
        return json.loads(self.cli("dlq", "list", "--json"))


def run_cli(*arguments, timeout_s=120, **environment):
    return subprocess.run(
        [sys.executable, "-m", "admin.cli", *arguments],
        cwd=ROOT,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def drawing(seed, kind=".png", size=200):
    """Shapes on white, as a file."""
    chance = np.random.default_rng(seed)
    canvas = np.full((size, size, 3), 255, np.uint8)
    for _ in range(5):
        colour = tuple(int(c) for c in chance.integers(0, 255, 3))
        x, y, r = (int(v) for v in chance.integers(20, size - 20, 3))
        cv2.circle(canvas, (x, y), r // 4 + 5, colour, -1)
        cv2.rectangle(canvas, (y, r), (y + 40, r + 22), colour[::-1], -1)
    return cv2.imencode(kind, canvas)[1].tobytes()


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    running = Service(tmp_path_factory.mktemp("e2e") / "data").start()
    yield running
    assert running.stop() == 0, running.output.read_text()
