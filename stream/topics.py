"""Our topics: names, shapes, identities; and the admin client that makes and describes them.

Fails with BrokerUnavailableError (no broker answers) or ConfigurationError (a topic of another shape).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka import errors
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, KafkaTimeoutError

from models.errors import BrokerUnavailableError, ConfigurationError
from stream.settings import Settings
from stream.tls import tls_complaint, tls_context

KEEP_FOR_EVER = {"retention.ms": "-1"}
_PERMANENT = (  # what no retry mends: somebody must change a setting or a permission
    errors.KafkaConfigurationError, errors.AuthorizationError, errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError, errors.IllegalSaslStateError, errors.SecurityDisabledError,
    errors.TopicAuthorizationFailedError, errors.GroupAuthorizationFailedError, errors.ClusterAuthorizationFailedError,
    errors.InvalidTopicError, errors.UnsupportedVersionError, errors.InvalidPartitionsError,
    errors.InvalidReplicationFactorError, errors.InvalidConfigurationError, errors.PolicyViolationError,
)  # fmt: skip
BOOTSTRAP_TIMEOUT_MS = 6_000  # a person waits for this sentence


@dataclass(frozen=True)
class TopicShape:
    """How a topic is made. `partitions` 0 means as many as the settings say."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


SHAPES = (
    TopicShape("images", 0),
    TopicShape("tags", 0),
    TopicShape("clicks", 1),  # one total order, so that a replay trains the ranker on the same steps
    TopicShape("examples", 1, KEEP_FOR_EVER),  # the totally ordered training log
    TopicShape("models", 1, {"cleanup.policy": "compact"}),
    TopicShape("drift", 1),  # what the tag learner noticed, for whoever wants to know
    TopicShape("images.dlq", 1, KEEP_FOR_EVER),
    TopicShape("tags.dlq", 1, KEEP_FOR_EVER),
    TopicShape("clicks.dlq", 1, KEEP_FOR_EVER),
)


def full_name(settings: Settings, name: str) -> str:
    """`images` -> `mekiki.images.v1`, `images.dlq` -> `mekiki.images.v1.dlq`."""
    base, dot, suffix = name.partition(".")
    return settings.topic(base) + dot + suffix


def client_options(settings: Settings) -> dict[str, Any]:
    """What every Kafka client of ours is told.

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
    }
    context = tls_context(kafka)
    if context is not None:
        options["ssl_context"] = context
    if kafka.sasl_mechanism:
        password = kafka.sasl_password
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
        }
    return options


@contextmanager
def broker_errors(settings: Settings) -> Iterator[None]:
    """Map what kafka-python raises inside the block to the tree of models/errors.py."""
    servers = settings.kafka.bootstrap_servers
    try:
        yield
    except KafkaTimeoutError as error:
        complaint = (
            tls_complaint(settings.kafka) if "bootstrap" in str(error) else None
        )  # later it is no setting's fault
        if complaint is not None:
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


@contextmanager
def admin_client(settings: Settings) -> Iterator[KafkaAdminClient]:
    """An admin client for the block."""
    with broker_errors(settings):
        client = KafkaAdminClient(**client_options(settings))
        try:
            yield client
        finally:
            client.close()


def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing; returns their names."""
    created = []
    with admin_client(settings) as client:
        present = set(client.list_topics())
        for shape in SHAPES:
            name = full_name(settings, shape.name)
            if name not in present:
                client.create_topics([_new_topic(settings, shape, name)])
                created.append(name)
    return created


def _new_topic(settings: Settings, shape: TopicShape, name: str) -> NewTopic:
    config = dict(shape.config)
    if shape.name in ("images", "images.dlq"):
        config["max.message.bytes"] = str(settings.kafka.max_record_bytes + 100_000)
    partitions = shape.partitions or settings.kafka.partitions
    return NewTopic(name, partitions, settings.kafka.replication_factor, topic_configs=config)


@dataclass(frozen=True)
class TopicDescription:
    """What the broker says of one topic."""

    name: str
    topic_id: str
    partitions: int


def describe_topics(settings: Settings, names: tuple[str, ...]) -> dict[str, TopicDescription]:
    """The topics behind our short names, by short name.

    Raises:
        ConfigurationError: one of them does not exist.
    """
    wanted = {full_name(settings, name): name for name in names}
    with admin_client(settings) as client:
        missing = sorted(set(wanted) - set(client.list_topics()))
        if missing:
            raise ConfigurationError(f"topic {', '.join(missing)}: does not exist; run `mekiki topics create`")
        found = client.describe_topics(list(wanted))
    described = {
        wanted[t["name"]]: TopicDescription(t["name"], str(t["topic_id"]), len(t["partitions"]))
        for t in found
        if t["name"] in wanted
    }
    if {"images", "tags"} <= described.keys() and described["images"].partitions != described["tags"].partitions:
        raise ConfigurationError(
            f"topics {described['images'].name} and {described['tags'].name}: expected equal partition counts, found "
            f"{described['images'].partitions} and {described['tags'].partitions}; a tag must land beside its image"
        )
    return described
