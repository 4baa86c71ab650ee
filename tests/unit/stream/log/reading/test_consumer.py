"""What kafka-python forgets, our readers finish."""

from types import SimpleNamespace

import pytest

from stream.log.reading.consumer import finish_rejoining


class Coordinator:
    """Of a member that is in the middle of joining again, or is not, and knows of it or not."""

    def __init__(self, rejoining, knows):
        self.rejoining, self._knows, self.asked = rejoining, knows, 0

    def need_rejoin(self):
        return self._knows

    def request_rejoin(self):
        self.asked += 1


@pytest.mark.parametrize(
    ("rejoining", "knows", "asked"), [(True, False, 1), (True, True, 0), (False, False, 0), (False, True, 0)]
)
def test_a_member_that_forgot_that_it_joins_again_is_told(rejoining, knows, asked):
    coordinator = Coordinator(rejoining, knows)
    finish_rejoining(SimpleNamespace(_coordinator=coordinator))
    assert coordinator.asked == asked
