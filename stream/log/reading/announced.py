"""What topics.v1 announces: how images.v1 grew.

In: settings. Out: how many partitions there were in each epoch of the log.
"""

from contextlib import closing

from stream.log.reading.consume import LogReader
from stream.log.reading.growth import Sizes, growth_of
from stream.settings import Settings


def read_growth(settings: Settings, topic_id: str) -> Sizes:
    """How many partitions a topic had in each epoch; empty if it never grew.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    said = []
    with closing(LogReader(settings, ("topics",), "growth", lambda: ())) as reader:
        while not reader.caught_up("topics", 0):
            said += reader.poll(0.2)
    return growth_of(topic_id, said)
