"""Settings: environment variables `MEKIKI_*`, nested by `__`, built once at the entry point and handed down.

What fields there are and what they may be; stream/environment.py reads them.
"""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

PREFIX = "MEKIKI_"
DELIMITER = "__"


class Section(BaseModel):
    """One group of settings: immutable, no unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(Section):
    """Where the log is and how to talk to it."""

    bootstrap_servers: str | None = Field(
        None,
        pattern=r"^[^,\s]+:[0-9]+(,[^,\s]+:[0-9]+)*$",
        description="host:port[,host:port]; none: the embedded broker",
    )
    security_protocol: str = Field("PLAINTEXT", pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$")
    ca_file: Path | None = Field(None, description="PEM; whom to trust instead of the system's authorities")
    certificate_file: Path | None = Field(None, description="PEM; shown to brokers that ask who we are")
    key_file: Path | None = Field(None, description="PEM; its key, if it is not in the same file")
    key_password: SecretStr | None = None
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    topic_prefix: str = Field("mekiki", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    partitions: int = Field(4, ge=1, le=1000, description="of images.v1, when it is made")
    replication_factor: int = Field(1, ge=1)
    session_timeout_ms: int = Field(10_000, ge=1_000)
    request_timeout_ms: int = Field(30_000, ge=1_000)
    max_record_bytes: int = Field(1_000_000, ge=10_000)


QuantizationKind: TypeAlias = Literal["none", "scalar", "turbo", "binary"]


class QdrantSettings(Section):
    """Where the index is and how it is kept."""

    url: str | None = Field(None, description="http(s)://host:port of a Qdrant server; empty means Qdrant Edge")
    api_key: SecretStr | None = None
    grpc_port: int = 6334
    prefer_grpc: bool = True
    collection: str = Field("mekiki_images", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    timeout_s: float = Field(10.0, gt=0)
    quantization: Literal["auto", "none", "scalar", "turbo", "binary"] = Field(
        "auto", description="what a search goes through first; auto: turbo (1 bit a number) embedded, scalar (int8) on "
        "a server"
    )  # fmt: skip
    rescore: bool = Field(True, description="by floats, so that scores and their order are exact")
    oversampling: float | None = Field(
        None, ge=1, le=1000, description="candidates for each result; empty: 16 of bits, embedded 4,000 at least; 1 of "
        "others"
    )  # fmt: skip
    vectors_on_disk: bool = Field(True, description="floats, on a server, when the collection is made")
    shards: int | None = Field(
        None, ge=1, le=1000, description="on a server, when the collection is made; empty: as many as nodes"
    )
    replicas: int = Field(1, ge=1, le=100, description="of each shard, when the collection is made")
    write_consistency: int = Field(
        1, ge=1, le=100, description="replicas that have a write before it is done, when the collection is made"
    )

    @model_validator(mode="after")
    def _enough_replicas(self) -> Self:
        if self.write_consistency > self.replicas:
            raise PydanticCustomError(
                "replicas", "expected write_consistency of at most replicas; no write could ever be done"
            )
        return self


class EncoderSettings(Section):
    """Which frozen encoder, on what."""

    backend: Literal["auto", "onnx", "torch"] = "auto"
    name: str = Field("efficientnet-lite0", description="see `mekiki encoder list`")
    folder: Path | None = Field(None, description="where encoders are kept; empty: `encoders` in the data directory")
    threads: int | None = Field(None, ge=1)
    batch_size: int | None = Field(None, ge=1, le=1024, description="empty: 48 on a CPU, 128 on a GPU")


class IngestSettings(Section):
    """Limits and sizes of the ingest worker."""

    max_image_bytes: int = Field(20_000_000, ge=1_000)
    max_pixels: int = Field(100_000_000, ge=1_000)
    max_side_px: int = Field(100_000, ge=100, description="of the longer side of a picture")
    decode_workers: int = Field(1, ge=1, le=64)
    decode_deadline_s: float = Field(10.0, gt=0)
    decode_memory_bytes: int = Field(900_000_000, ge=200_000_000, description="that one picture may take")
    queue_bytes: int = Field(64_000_000, ge=1_000_000, description="of encoded pictures waiting between two steps")
    dataref_roots: list[Path] = Field(default_factory=list, description="folders that dataref may point into")
    dataref_hosts: list[str] = Field(default_factory=list, description="hosts that an http(s) dataref may name")
    waiting_limit: int = Field(
        10_000, ge=0, description="events a partition keeps for images that are not there; more: the oldest are dead"
    )
    breaker_share: float = Field(0.5, gt=0, le=1, description="stop when this share of the last records is dead")
    breaker_records: int = Field(1_000, ge=10)
    breaker_armed: bool = Field(
        True, description="false: after a stop, do not stop again before the share has been below its limit"
    )


class ObjectsSettings(Section):
    """Parts of pictures that are found by themselves."""

    per_image: int = Field(
        16, ge=0, le=64, description="parts cut out of a picture at most; 0: none, and no worker for them"
    )


class TaggingSettings(Section):
    """The tag learner."""

    backend: Literal["auto", "numpy", "torch"] = Field(
        "auto", description="also of the search API; torch where there is a GPU"
    )
    classifier: str = Field(
        "river.linear_model.LogisticRegression",
        description="of each tag: the import path of a linear river classifier; Perceptron and PAClassifier work too",
    )
    max_tags: int = Field(100_000, ge=100, description="tags in memory, 7 KB each; beyond, rare ones wait on disk")
    publish_interval_ms: int = Field(200, ge=10)
    checkpoint_interval_s: float = Field(5.0, gt=0)
    checkpoint_examples: int = Field(100_000, ge=1)


class RankingSettings(Section):
    """The ranker."""

    publish_interval_ms: int = Field(1_000, ge=10)
    checkpoint_interval_s: float = Field(5.0, gt=0)
    seed: int = 0


def _key(key: SecretStr) -> SecretStr:
    if not re.fullmatch("[!-~]{16,1000}", key.get_secret_value()):
        raise PydanticCustomError("key", "expected 16 or more letters, digits and signs of ASCII, without spaces")
    return key


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise PydanticCustomError("network", "expected an address or a network, as 10.0.0.0/8") from None
    return text


Network: TypeAlias = Annotated[str, AfterValidator(_network)]
ApiKey: TypeAlias = Annotated[SecretStr, AfterValidator(_key)]


class ServeSettings(Section):
    """The search API."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    max_body_bytes: int = Field(20_000_000, ge=1_000, description="of a picture")
    max_json_bytes: int = Field(1_000_000, ge=1_000, description="of any other body")
    bodies_bytes: int = Field(64_000_000, ge=1_000_000, description="of all bodies in flight; beyond: 503")
    body_timeout_s: float = Field(30.0, gt=0, description="a body that is not whole by then is refused")
    max_limit: int = Field(200, ge=1, le=1000)
    wait_s: float = Field(
        30.0, gt=0, description="how long wait=searchable waits for what was posted; then 202 and a sentence"
    )
    api_key: SecretStr | None = Field(
        None, min_length=16, description="who has it may ask for everything; none: anybody"
    )
    api_key_next: ApiKey | None = Field(None, description="a second one, while clients change over")
    read_key: ApiKey | None = Field(None, description="who has it may search, and change nothing")
    read_key_next: ApiKey | None = Field(None, description="a second one, while clients change over")
    open: bool = Field(False, description="listen beyond this machine without a key")
    requests_per_minute: int | None = Field(
        None, ge=1, description="of each key, or address without one; beyond: 429; empty: no limit"
    )
    trusted_proxies: list[Network] = Field(
        default_factory=lambda: ["127.0.0.1", "::1"], description="whose X-Forwarded-Proto and X-Forwarded-For count"
    )
    cors_origins: list[str] = Field(default_factory=list, description="pages that browsers let use the API, or *")
    url: str | None = Field(None, description="where the CLI finds the API; empty means the running embedded one")


class Settings(Section):
    """All settings of one process; immutable."""

    data_dir: Path = Field(Path("~/.local/share/mekiki"), description="index, pictures and learned state")
    cache_dir: Path = Field(Path("~/.cache/mekiki"), description="compiled encoder graphs; safe to delete")
    pictures_url: str | None = Field(
        None, description="fsspec URL for inline pictures; empty: one file in the data directory"
    )
    embedded: bool = Field(False, description="broker and index live and die with this data directory's service")
    index_socket: str | None = Field(None, description="address of the process that owns Qdrant Edge")
    blas_threads: int = Field(
        1, ge=1, description="of each process; idle ones spin, which costs neighbours their cores"
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    metrics_port: int | None = Field(None, ge=0, le=65535, description="where a worker shows Prometheus metrics")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    qdrant: QdrantSettings = Field(default_factory=QdrantSettings)
    encoder: EncoderSettings = Field(default_factory=EncoderSettings)
    ingest: IngestSettings = Field(default_factory=IngestSettings)
    objects: ObjectsSettings = Field(default_factory=ObjectsSettings)
    tagging: TaggingSettings = Field(default_factory=TaggingSettings)
    ranking: RankingSettings = Field(default_factory=RankingSettings)
    serve: ServeSettings = Field(default_factory=ServeSettings)

    @property
    def data_path(self) -> Path:
        """The data directory with `~` resolved."""
        return self.data_dir.expanduser()

    @property
    def cache_path(self) -> Path:
        """The cache directory with `~` resolved."""
        return self.cache_dir.expanduser()

    @property
    def encoders_path(self) -> Path:
        """Where encoders are kept that are not built in."""
        return self.encoder.folder.expanduser() if self.encoder.folder else self.data_path / "encoders"

    def topic(self, name: str) -> str:
        """Full name of one of our topics, e.g. `images` -> `mekiki.images.v1`."""
        return f"{self.kafka.topic_prefix}.{name}.v1"
