"""`mekiki serve` ends cleanly: asked by a signal, and when the process that started it is gone."""

import signal
import subprocess
import sys

import httpx
import pytest

from stream.environment import PARENT_PIPE, as_environment
from tests.cluster import ROOT, Cluster, embedded_kafka, wait_for
from tests.e2e.conftest import clean_environment

END_S = 10.0  # requests in flight get half of it


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    with embedded_kafka(folder) as bootstrap:
        running = Cluster(bootstrap, folder / "data", embedded=True)
        running.start("index")
        yield running
        running.close()


@pytest.fixture
def serve(cluster):
    """A search API that answers, with a pipe whose end it watches as `mekiki up` gives it one."""
    environment = clean_environment(**as_environment(cluster.settings), **{PARENT_PIPE: "1"})
    with (cluster.logs / "serve.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "admin.cli", "serve"],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=output,
        )  # fmt: skip
    url = cluster.settings.serve.url

    def answers():
        assert process.poll() is None, cluster.log("serve")
        try:
            return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
        except httpx.ConnectError:
            return False

    wait_for(answers, "the search API")
    yield process
    process.kill()
    process.wait()
    process.stdin.close()


@pytest.mark.parametrize("ask", [
    lambda process: process.send_signal(signal.SIGTERM),
    lambda process: process.send_signal(signal.SIGINT),
    lambda process: process.stdin.close(),
], ids=["SIGTERM", "Ctrl-C", "the parent is gone"])  # fmt: skip
def test_serve_ends_with_code_0_and_no_complaint(cluster, serve, ask):
    ask(serve)
    assert serve.wait(END_S) == 0, cluster.log("serve")
    assert cluster.log("serve") == ""
