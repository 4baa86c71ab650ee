"""A service with a key and short patience, as a person starts it."""

import json
import socket

import pytest

from tests.e2e.conftest import Service, drawing, run_cli

KEY = "correct-horse-battery"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    settings = {"MEKIKI_SERVE__API_KEY": KEY, "MEKIKI_SERVE__BODY_TIMEOUT_S": "1"}
    running = Service(tmp_path_factory.mktemp("guarded") / "data", **settings).start()
    yield running
    assert running.stop() == 0, running.output.read_text()


def test_commands_need_the_key_and_use_it(guarded, tmp_path):
    assert "key: none that is valid" in guarded.cli("images", "list", code=2)
    (tmp_path / "a.png").write_bytes(drawing(1))
    named = {"MEKIKI_SERVE__API_KEY": KEY}
    guarded.cli("post", str(tmp_path / "a.png"), "--id", "a", **named)
    assert json.loads(guarded.cli("status", "--json", **named))["tagger_version"] is not None
    assert KEY not in guarded.cli("doctor", "--json", **named)
    assert KEY not in guarded.output.read_text()


def test_a_body_that_stays_unfinished_is_closed(guarded):
    head = f"POST /v1/rank HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as connection:
        connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body: not here within 1 s" in answer


@pytest.mark.parametrize("command", ["up", "serve"])
def test_beyond_this_machine_only_with_a_key(tmp_path, command):
    settings = {"MEKIKI_SERVE__HOST": "0.0.0.0", "MEKIKI_SERVE__PORT": "0", "MEKIKI_DATA_DIR": str(tmp_path / "data")}
    done = run_cli(command, **settings)
    assert done.returncode == 78
    assert "MEKIKI_SERVE__HOST 0.0.0.0: expected a key" in done.stderr
