"""TLS towards Kafka: whom to trust, who we are, and why nobody answered.

In: what `KafkaSettings` says of it. Out: one `ssl.SSLContext`. Fails with ConfigurationError, naming the variable and
the file.
"""

import socket
import ssl
from pathlib import Path

from models.errors import ConfigurationError
from stream.settings import KafkaSettings

PREFIX = "MEKIKI_KAFKA__"
PROBE_S = 1.0  # for a connection, for a handshake, and for an objection after it


def tls_context(kafka: KafkaSettings) -> ssl.SSLContext | None:
    """Certificates are checked, host names too; None where the protocol is not encrypted.

    Raises:
        ConfigurationError: a file cannot be used, or is named although nothing is encrypted.
    """
    named = [name for name in ("ca_file", "certificate_file", "key_file") if getattr(kafka, name) is not None]
    if not kafka.security_protocol.endswith("SSL"):
        if named:
            raise ConfigurationError(
                f"{PREFIX}{named[0].upper()}: set, but {PREFIX}SECURITY_PROTOCOL is {kafka.security_protocol}; "
                "set that to SSL or SASL_SSL"
            )
        return None
    ca_file = kafka.ca_file and kafka.ca_file.expanduser()
    try:
        context = ssl.create_default_context(cafile=ca_file)  # None: the system's authorities
    except OSError as error:  # an ssl.SSLError is one
        raise _unusable("CA_FILE", ca_file, "certificates in PEM form", error) from error
    if kafka.certificate_file is not None:
        _show(context, kafka)
    elif kafka.key_file is not None:
        raise ConfigurationError(f"{PREFIX}KEY_FILE: set, but {PREFIX}CERTIFICATE_FILE is not; set both or neither")
    return context


def tls_complaint(kafka: KafkaSettings) -> str | None:
    """What TLS has to do with it that no broker answered, and what to do; None if nothing.

    kafka-python only says that it could not bootstrap. A broker that wants a certificate of ours says so after the
    handshake (TLS 1.3).
    """
    context = tls_context(kafka)
    if kafka.bootstrap_servers is None:
        return None
    host, _, port = kafka.bootstrap_servers.partition(",")[0].rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=PROBE_S) as connection:
            if context is None:
                return _speaks_tls(connection)
            with context.wrap_socket(connection, server_hostname=host) as encrypted:
                encrypted.recv(1)
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted, {error.verify_message}; correct {PREFIX}CA_FILE"
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError):
        return None  # it hung up: on its way down or up, or no TLS there
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        if "alert" in reason and kafka.certificate_file is None:
            return f"it wants a certificate of ours, {reason}; set {PREFIX}CERTIFICATE_FILE"
        return f"TLS failed, {reason}; correct {PREFIX}CA_FILE, {PREFIX}CERTIFICATE_FILE or the broker"
    except OSError:  # nobody listens, or nothing was said in time
        return None
    return None


def _speaks_tls(connection: socket.socket) -> str | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent through it
    try:
        context.wrap_socket(connection).close()
    except OSError:
        return None
    return f"speaks TLS; set {PREFIX}SECURITY_PROTOCOL to SSL or SASL_SSL"


def _show(context: ssl.SSLContext, kafka: KafkaSettings) -> None:
    assert kafka.certificate_file is not None
    certificate = kafka.certificate_file.expanduser()
    key = (kafka.key_file or kafka.certificate_file).expanduser()
    password = kafka.key_password.get_secret_value() if kafka.key_password else ""
    for name, path in (("CERTIFICATE_FILE", certificate), ("KEY_FILE", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise _unusable(name, path, "a PEM file", error) from error
    try:
        context.load_cert_chain(certificate, key, password=password)  # never asks at the terminal: "" is a password
    except OSError as error:
        what = f"a certificate in PEM form with its key in {key} (and {PREFIX}KEY_PASSWORD, if that is encrypted)"
        raise _unusable("CERTIFICATE_FILE", certificate, what, error) from error


def _unusable(name: str, path: Path | None, expected: str, error: OSError) -> ConfigurationError:
    found = error.strerror or str(error)
    return ConfigurationError(f"{PREFIX}{name} {path}: expected {expected}, {found}; correct the variable or the file")
