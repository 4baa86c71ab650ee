"""A Kafka that only takes TLS, with an authority of its own, as a company's is: a person at the command line."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from models.errors import EXIT_CONFIGURATION, EXIT_TEMPORARY
from stream.log.embedded_broker import free_port
from tests.cluster import KAFKA_SCRIPT, ROOT, started_kafka

pytestmark = pytest.mark.skipif(
    not (KAFKA_SCRIPT.exists() and shutil.which("java") and shutil.which("openssl")),
    reason="a broker with TLS is started by the test: Kafka's script, java or openssl is missing",
)


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and who it vouches for: the broker at 127.0.0.1, and a client."""
    folder = tmp_path_factory.mktemp("certificates")
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority",
            "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
    (folder / "broker.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    (folder / "client.ext").write_text("extendedKeyUsage=clientAuth\n")
    for name in ("broker", "client"):
        openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")  # fmt: skip
    (folder / "broker.both").write_text((folder / "broker.key").read_text() + (folder / "broker.pem").read_text())
    return folder


@pytest.fixture(scope="module")
def broker(tmp_path_factory, certificates):
    """host:port of the TLS listener of a broker that asks clients for a certificate."""
    folder, port = tmp_path_factory.mktemp("kafka"), free_port()
    with started_kafka(folder) as cluster:
        (properties,) = Path(cluster["dir"]).glob("node1/server.properties")
    text = properties.read_text()  # written by the first start; a second one on the same folder takes what it says
    for name in ("listeners", "advertised.listeners"):
        text = text.replace(f"\n{name}=", f"\n{name}=SSL://127.0.0.1:{port},")
    text = text.replace("listener.security.protocol.map=", "listener.security.protocol.map=SSL:SSL,")
    text += (
        "ssl.keystore.type=PEM\nssl.truststore.type=PEM\nssl.client.auth=required\n"
        f"ssl.keystore.location={certificates / 'broker.both'}\nssl.truststore.location={certificates / 'ca.pem'}\n"
    )
    properties.write_text(text)
    with started_kafka(folder):
        yield f"127.0.0.1:{port}"


@pytest.fixture
def mekiki(broker, tmp_path):
    def run(*arguments, **kafka):
        variables = {f"MEKIKI_KAFKA__{name.upper()}": str(value) for name, value in kafka.items()}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MEKIKI_")}
        return subprocess.run(
            [sys.executable, "-m", "admin.cli", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120,
            env=clean | {"MEKIKI_DATA_DIR": str(tmp_path), "MEKIKI_KAFKA__BOOTSTRAP_SERVERS": broker} | variables,
        )  # fmt: skip

    return run


def test_topics_are_made_and_pictures_posted_over_tls(mekiki, certificates, tmp_path):
    trusted = {
        "security_protocol": "SSL", "ca_file": certificates / "ca.pem",
        "certificate_file": certificates / "client.pem", "key_file": certificates / "client.key",
    }  # fmt: skip
    made = mekiki("topics", "create", **trusted)
    assert made.returncode == 0, made.stderr
    picture = tmp_path / "one.png"
    shutil.copy(ROOT / "docs" / "demo.png", picture)
    posted = mekiki("post", str(picture), "--tag", "demo", **trusted)
    assert posted.returncode == 0, posted.stderr
    dead = mekiki("dlq", "list", **trusted)
    assert dead.returncode == 0, dead.stderr


@pytest.mark.parametrize(
    ("trusted", "reason"),
    [
        (False, "its certificate is not trusted, "),
        (True, "it wants a certificate of ours, "),
    ],
    ids=["not trusted", "no certificate of ours"],
)
def test_without_the_right_certificates_one_sentence_says_so(mekiki, certificates, trusted, reason):
    files = {"ca_file": certificates / "ca.pem"} if trusted else {}
    said = mekiki("topics", "create", security_protocol="SSL", **files)
    assert said.returncode == EXIT_CONFIGURATION, said.stderr
    assert said.stderr.count("\n") == 1, said.stderr
    assert "Kafka at 127.0.0.1" in said.stderr
    assert reason in said.stderr
    assert ("MEKIKI_KAFKA__CERTIFICATE_FILE" if trusted else "MEKIKI_KAFKA__CA_FILE") in said.stderr


def test_a_broker_that_hangs_up_is_away_and_no_mistake_of_ours(mekiki, certificates):
    """As while it restarts: temporary, so that a worker waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=hang_up, args=(listener,), daemon=True).start()
        server = f"127.0.0.1:{listener.getsockname()[1]}"
        said = mekiki("topics", "create", security_protocol="SSL", bootstrap_servers=server)
    assert said.returncode == EXIT_TEMPORARY, said.stderr
    assert "correct MEKIKI_KAFKA__BOOTSTRAP_SERVERS or MEKIKI_KAFKA__SECURITY_PROTOCOL" in said.stderr


def hang_up(listener):
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()


def test_a_tls_listener_met_without_tls_is_one_sentence_too(mekiki):
    said = mekiki("topics", "create")
    assert said.returncode == EXIT_CONFIGURATION, said.stderr
    assert said.stderr.count("\n") == 1, said.stderr
    assert "speaks TLS; set MEKIKI_KAFKA__SECURITY_PROTOCOL" in said.stderr
