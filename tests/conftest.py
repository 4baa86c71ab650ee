"""What every test starts from: no MEKIKI_ variable of the developer's shell, the same examples on every run."""

import os

import pytest
from hypothesis import HealthCheck, settings

from stream.settings import PREFIX, TEST_PREFIX

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
