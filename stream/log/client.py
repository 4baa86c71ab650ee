"""The options of every Kafka client of ours, and what its failures mean.

In: settings. Out: options, an admin client. Raises BrokerUnavailableError (no broker answers) or ConfigurationError.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from kafka import errors
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, KafkaTimeoutError

from models.errors import BrokerUnavailableError, ConfigurationError
from stream.log.tls import tls_complaint, tls_context
from stream.settings import Settings

_PERMANENT = (  # what no retry mends: somebody must change a setting or a permission
    errors.KafkaConfigurationError, errors.AuthorizationError, errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError, errors.IllegalSaslStateError, errors.SecurityDisabledError,
    errors.InvalidTopicError, errors.UnsupportedVersionError, errors.InvalidPartitionsError,
    errors.InvalidReplicationFactorError, errors.InvalidConfigurationError, errors.PolicyViolationError,
)  # fmt: skip


BOOTSTRAP_TIMEOUT_MS = 6_000  # a person waits for this sentence


def client_options(settings: Settings) -> dict[str, Any]:
    """The options of every Kafka client of ours.

    Raises:
        ConfigurationError: no broker is configured, or its certificates are wrong.
    """
    kafka = settings.kafka
    if not kafka.bootstrap_servers:
        raise ConfigurationError(
            "MEKIKI_KAFKA__BOOTSTRAP_SERVERS: not set and no running `mekiki up` found; "
            "start `mekiki up` or name a broker as host:port"
        )
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers.split(","),
        "security_protocol": kafka.security_protocol,
        "request_timeout_ms": kafka.request_timeout_ms,
        "bootstrap_timeout_ms": BOOTSTRAP_TIMEOUT_MS,
        "reconnect_backoff_ms": 50,
        "reconnect_backoff_max_ms": 2_000,
        "ssl_context": tls_context(kafka),
    }
    if kafka.sasl_mechanism:
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": kafka.sasl_password.get_secret_value() if kafka.sasl_password else None,
        }
    return options


@contextmanager
def broker_errors(settings: Settings) -> Iterator[None]:
    """Map what kafka-python raises inside the block to the tree of models/errors.py."""
    servers = settings.kafka.bootstrap_servers
    try:
        yield
    except KafkaTimeoutError as error:
        if "bootstrap" in str(error) and (complaint := tls_complaint(settings.kafka)):  # later it is no setting's fault
            raise ConfigurationError(f"Kafka at {servers}: {complaint}") from error
        also = "" if settings.kafka.security_protocol == "PLAINTEXT" else " or MEKIKI_KAFKA__SECURITY_PROTOCOL"
        raise BrokerUnavailableError(
            f"Kafka at {servers}: no broker answers ({error}); "
            f"start it or correct MEKIKI_KAFKA__BOOTSTRAP_SERVERS{also}"
        ) from error
    except _PERMANENT as error:
        raise ConfigurationError(
            f"Kafka at {servers}: {error}; correct MEKIKI_KAFKA__* or the broker's rules"
        ) from error
    except KafkaError as error:
        raise BrokerUnavailableError(f"Kafka at {servers}: {error}; trying again may help") from error


def finish_rejoining(consumer: Any) -> None:
    """Call it before each poll of a member of a group, or it may be one that gets no partitions and does not know.

    kafka-python 3.0.12: a leader that joins again because it learned of partitions takes that for done once it has
    shared them out. Where the poll ends just then, nobody waits for the broker's answer any more, heartbeats stay off,
    and the member is expelled.
    """
    coordinator = getattr(consumer, "_coordinator", None)
    if coordinator is not None and coordinator.rejoining and not coordinator.need_rejoin():
        coordinator.request_rejoin()


@contextmanager
def admin_client(settings: Settings) -> Iterator[KafkaAdminClient]:
    """An admin client for the block."""
    with broker_errors(settings), closing(KafkaAdminClient(**client_options(settings))) as client:
        yield client
