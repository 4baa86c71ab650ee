"""Every error has one fate; nothing of the client libraries comes through unmapped."""

import inspect
from unittest import mock

import grpc
import httpx
import kafka.errors
import pytest
from qdrant_client import QdrantClient
from qdrant_client.common import client_exceptions
from qdrant_client.http import exceptions as http_exceptions

from models import errors
from models.errors import Fate, MekikiError, PoisonError
from search.app import status_of
from stream.environment import load_settings
from stream.index import edge as index_edge
from stream.index.process.remote import RemoteIndex
from stream.index.qdrant import QdrantIndex
from stream.log.client import broker_errors
from stream.settings import QdrantSettings

TREE = [
    c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, MekikiError) and c is not MekikiError
]
KAFKA = [c for _, c in inspect.getmembers(kafka.errors, inspect.isclass) if issubclass(c, kafka.errors.KafkaError)]
EXIT_CODES = {Fate.POISON: {2}, Fate.INFRASTRUCTURE: {75}, Fate.FATAL: {75, 76, 78}, Fate.USAGE: {2}}


@pytest.mark.parametrize("error", TREE)
def test_every_error_has_a_fate_and_an_exit_code(error):
    assert error.exit_code in EXIT_CODES[error.fate]
    assert error.__doc__


@pytest.mark.parametrize("error", [c for c in TREE if issubclass(c, PoisonError)])
def test_poison_carries_a_reason_code_that_fits_a_header(error):
    assert error("text").reason == error.default_reason
    assert error("text", "other").reason == "other"
    assert error.default_reason.replace("_", "").isalpha()


@pytest.mark.parametrize("error", TREE)
def test_the_tree_in_the_docstring_is_the_tree(error):
    assert error.__name__ in errors.__doc__


@pytest.mark.parametrize("error", TREE)
def test_http_says_whose_fault_it_is(error):
    expected = {Fate.POISON: 400, Fate.USAGE: 400, Fate.INFRASTRUCTURE: 503, Fate.FATAL: 500}[error.fate]
    assert status_of(error("text")) == (404 if error is errors.NotFoundError else expected)
    assert status_of(errors.PolicyError("text", "too_large")) == 413


# ---- kafka-python -------------------------------------------------------------------------------------------------


def make(error):
    """An instance, whatever its constructor wants."""
    try:
        return error()
    except TypeError:
        return error({})


@pytest.mark.parametrize("error", KAFKA)
def test_every_kafka_error_is_mapped(error):
    settings = load_settings({"MEKIKI_KAFKA__BOOTSTRAP_SERVERS": "broker:9092"})
    with pytest.raises(MekikiError) as caught, broker_errors(settings):
        raise make(error)
    assert caught.value.fate in (Fate.INFRASTRUCTURE, Fate.FATAL)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("error", [c for c in KAFKA if c.retriable])
def test_what_may_pass_is_infrastructure(error):
    with pytest.raises(errors.BrokerUnavailableError), broker_errors(load_settings({})):
        raise make(error)


@pytest.mark.parametrize("name", [
    "SaslAuthenticationFailedError", "UnsupportedSaslMechanismError", "TopicAuthorizationFailedError",
    "GroupAuthorizationFailedError", "ClusterAuthorizationFailedError", "SecurityDisabledError", "InvalidTopicError",
    "UnsupportedVersionError", "InvalidReplicationFactorError", "PolicyViolationError", "KafkaConfigurationError",
])  # fmt: skip
def test_what_no_retry_mends_is_configuration(name):
    with pytest.raises(errors.ConfigurationError), broker_errors(load_settings({})):
        raise make(getattr(kafka.errors, name))


# ---- Qdrant -------------------------------------------------------------------------------------------------------


class Refusal(grpc.RpcError, grpc.Call):
    """What a gRPC stub raises."""

    def __init__(self, code):
        self._code = code

    def code(self):
        return self._code

    def details(self):
        return "details"

    initial_metadata = trailing_metadata = is_active = time_remaining = cancel = add_callback = None


@pytest.fixture(scope="module")
def qdrant():
    index = QdrantIndex(QdrantSettings(url=":memory:", collection="test"))
    yield index
    index.close()


def mapped(index, error) -> MekikiError:
    with (
        mock.patch.object(QdrantClient, "count", side_effect=error),
        pytest.raises(MekikiError) as caught,
    ):
        index.count()
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize("code", grpc.StatusCode)
def test_every_grpc_status_is_mapped(qdrant, code):
    error = mapped(qdrant, Refusal(code))
    permanent = {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "UNAUTHENTICATED",
                 "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED", "DATA_LOSS", "OK"}  # fmt: skip
    assert isinstance(error, errors.ConfigurationError if code.name in permanent else errors.IndexUnavailableError)
    assert code.name in str(error)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(code, errors.IndexUnavailableError) for code in (408, 425, 429, 500, 502, 503, 504)]
    + [(code, errors.ConfigurationError) for code in (400, 401, 403, 404, 409, 413, 422)],
)
def test_every_http_status_is_mapped(qdrant, status, expected):
    error = http_exceptions.UnexpectedResponse(status, "reason", b'{"status":"no"}', httpx.Headers())
    assert type(mapped(qdrant, error)) is expected


def instance(error):
    wanted = {"source": OSError("refused"), "message": "text", "retry_after_s": 1, "status_code": 400,
              "reason_phrase": "no", "content": b"", "headers": httpx.Headers()}  # fmt: skip
    names = [n for n in inspect.signature(error.__init__).parameters if n in wanted]
    return error(**{name: wanted[name] for name in names})


@pytest.mark.parametrize("error", [
    c for module in (client_exceptions, http_exceptions) for _, c in inspect.getmembers(module, inspect.isclass)
    if issubclass(c, Exception) and c.__module__ == module.__name__
])  # fmt: skip
def test_every_exception_class_of_the_client_is_mapped(qdrant, error):
    mapped(qdrant, instance(error))


def test_a_refused_connection_is_infrastructure():
    from stream.log.embedded_broker import free_port

    for prefer_grpc in (False, True):
        port = free_port()
        settings = QdrantSettings(url=f"http://127.0.0.1:{port}", grpc_port=port, prefer_grpc=prefer_grpc)
        index = QdrantIndex(settings)
        with pytest.raises(errors.IndexUnavailableError, match=r"127\.0\.0\.1"):
            index.open("e", 8)
        index.close()


# ---- Qdrant Edge --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("No space left on device"), errors.StorageUnavailableError),
        (RuntimeError("something else"), errors.IndexUnavailableError),
        (OSError(5, "I/O"), errors.IndexUnavailableError),
    ],
)
def test_edge_errors_are_mapped(error, expected):
    assert type(index_edge.translated(error, "update")) is expected


def test_an_index_process_that_is_gone_is_infrastructure():
    from stream.log.embedded_broker import free_port

    index = RemoteIndex(f"127.0.0.1:{free_port()}", timeout_s=0.2)
    with pytest.raises(errors.IndexUnavailableError, match=r"127\.0\.0\.1"):
        index.count()
    index.close()
