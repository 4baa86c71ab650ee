"""Our topics: names, shapes, identities; and the admin client that makes and describes them.

Fails with BrokerUnavailableError (no broker answers) or ConfigurationError (a topic of another shape).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kafka.admin import NewTopic

from models.errors import ConfigurationError
from stream.log.client import admin_client
from stream.settings import Settings

HEADER_BYTES = 100_000  # room for headers beside the largest value
KEEP_FOR_EVER = {"retention.ms": "-1"}


@dataclass(frozen=True)
class TopicShape:
    """How a topic is made. `partitions` 0 means as many as the settings say."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


SHAPES = (
    TopicShape("images", 0),  # all that happens to a picture, keyed by its id: one order, the log's own
    TopicShape("operations", 1),  # operations on tags; the partition never grows, they have one order
    TopicShape("clicks", 1),  # one total order, so that a replay trains the ranker on the same steps
    TopicShape("examples", 1, KEEP_FOR_EVER),  # the totally ordered training log
    TopicShape("models", 1, {"cleanup.policy": "compact"}),
    TopicShape("topics", 1, {"cleanup.policy": "compact"}),  # how images.v1 grew
    TopicShape("drift", 1),  # what the tag learner noticed, for whoever wants to know
    TopicShape("images.dlq", 1, KEEP_FOR_EVER),
    TopicShape("operations.dlq", 1, KEEP_FOR_EVER),
    TopicShape("clicks.dlq", 1, KEEP_FOR_EVER),
)


def full_name(settings: Settings, name: str) -> str:
    """`images` -> `mekiki.images.v1`, `images.dlq` -> `mekiki.images.v1.dlq`."""
    base, dot, suffix = name.partition(".")
    return settings.topic(base) + dot + suffix


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


def add_partitions(settings: Settings, name: str, partitions: int) -> None:
    """Let a topic have so many; what they mean for the order of keys is up to the caller."""
    with admin_client(settings) as client:
        client.create_partitions({full_name(settings, name): partitions})


def _new_topic(settings: Settings, shape: TopicShape, name: str) -> NewTopic:
    config = dict(shape.config)
    if shape.name == "images":
        config["max.message.bytes"] = str(settings.kafka.max_record_bytes + HEADER_BYTES)
    elif shape.name.endswith(".dlq"):  # the record as it was, and why it is dead
        config["max.message.bytes"] = str(settings.kafka.max_record_bytes + 2 * HEADER_BYTES)
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
    return {
        wanted[t["name"]]: TopicDescription(t["name"], str(t["topic_id"]), len(t["partitions"]))
        for t in found
        if t["name"] in wanted
    }
