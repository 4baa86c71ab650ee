"""TLS towards Kafka: a wrong file is one sentence, before anything is connected."""

import re
import ssl
import subprocess

import pytest

from models.errors import ConfigurationError
from stream.environment import load_settings
from stream.log.tls import tls_context

KAFKA = "MEKIKI_KAFKA__"


def context(**variables):
    return tls_context(load_settings({KAFKA + name.upper(): str(value) for name, value in variables.items()}).kafka)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    for name, cipher in (("me", ("-nodes",)), ("locked", ("-passout", "pass:open"))):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", f"/CN={name}", *cipher,
             "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"], check=True, capture_output=True,
        )  # fmt: skip
    (folder / "text.pem").write_text("no certificate\n")
    return folder


def test_nothing_is_encrypted_unless_asked_for():
    assert context() is None


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
def test_certificates_and_host_names_are_checked(protocol):
    made = context(security_protocol=protocol)
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_an_authority_of_ones_own_replaces_the_systems(files):
    made = context(security_protocol="SSL", ca_file=files / "me.pem")
    assert [dict(part[0] for part in found["subject"])["commonName"] for found in made.get_ca_certs()] == ["me"]


def test_a_certificate_with_its_key_is_taken(files):
    context(security_protocol="SSL", certificate_file=files / "me.pem", key_file=files / "me.key")
    context(
        security_protocol="SSL", certificate_file=files / "locked.pem", key_file=files / "locked.key",
        key_password="open",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"ca_file": "away.pem"}, r"MEKIKI_KAFKA__CA_FILE .*/away\.pem: expected certificates in PEM form, No such"),
        (
            {"ca_file": "text.pem"},
            r"MEKIKI_KAFKA__CA_FILE .*/text\.pem: expected certificates in PEM form, .+; correct",
        ),
        (
            {"certificate_file": "away.pem"},
            r"MEKIKI_KAFKA__CERTIFICATE_FILE .*/away\.pem: expected a PEM file, No such",
        ),
        ({"certificate_file": "me.pem", "key_file": "away"}, r"MEKIKI_KAFKA__KEY_FILE .*/away: expected a PEM file"),
        ({"certificate_file": "me.pem", "key_file": "locked.key"}, r"CERTIFICATE_FILE .*/me\.pem: .*KEY_PASSWORD"),
        ({"certificate_file": "me.pem"}, r"CERTIFICATE_FILE .*/me\.pem: expected .* with its key in .*/me\.pem"),
        ({"key_file": "me.key"}, r"MEKIKI_KAFKA__KEY_FILE: set, but MEKIKI_KAFKA__CERTIFICATE_FILE is not"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_variable(files, wrong, sentence):
    with pytest.raises(ConfigurationError, match=sentence) as found:
        context(security_protocol="SSL", **{name: files / file for name, file in wrong.items()})
    assert "\n" not in str(found.value)


def test_files_where_nothing_is_encrypted_are_a_mistake(files):
    sentence = re.escape("MEKIKI_KAFKA__CA_FILE: set, but MEKIKI_KAFKA__SECURITY_PROTOCOL is PLAINTEXT")
    with pytest.raises(ConfigurationError, match=sentence):
        context(ca_file=files / "me.pem")
