"""A story told to running workers, chapter by chapter, two of them ahead of what is known to be done."""

from collections.abc import Callable

import httpx
from kafka import KafkaConsumer, TopicPartition

from models.errors import EXIT_TEMPORARY, IndexUnavailableError
from stream.index.contract import VectorIndex
from stream.log.client import client_options
from stream.log.produce import LogWriter
from stream.log.topics import full_name
from tests.cluster import Cluster, wait_for
from tests.faults.events import FIRST_MS
from tests.faults.story import SOURCE, Line, Story

AHEAD = 2  # chapters that are posted before it is known that this one is done: there is work in flight at any time


class Telling:
    """One story, one cluster.

    Attributes:
        restarted: workers that ended with "try again later" and were started again, as any supervisor does.
        meanwhile: called again and again while something is waited for.
    """

    def __init__(self, cluster: Cluster, index: VectorIndex, story: Story) -> None:
        self.cluster, self.index, self.story = cluster, index, story
        self.restarted: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self._writer = LogWriter(cluster.settings, SOURCE)
        self._posted = 0

    def tell(self, ready: Callable[[int], None], between: Callable[[int], None]) -> None:
        """Post everything; `ready(n)` is called once chapter n is done, `between(n)` once more is under way."""
        chapters = self.story.chapters
        for chapter in chapters[:AHEAD]:
            self._post(chapter.lines)
        for number, chapter in enumerate(chapters):
            self.wait(lambda at=number: self.left(at) == 0, f"chapter {number}")
            self._post(chapter.later)
            ready(number)
            self._post([line for one in chapters[number + AHEAD : number + AHEAD + 1] for line in one.lines])
            between(number)
        self.wait(lambda: self.left(len(chapters) - 1, operations=True) == 0, "the end of the story")

    def left(self, chapter: int, *, operations: bool = False) -> int:
        """Records up to the end of a chapter that are not in the index; with `operations` also all of those."""
        try:
            done = {(offset.topic, offset.partition): offset.offset for offset in self.index.offsets()}
        except IndexUnavailableError:  # not up yet
            done = {}
        ends = self.story.ends(chapter) | ({("operations", 0): self.story.count("operations")} if operations else {})
        return sum(max(0, end - done.get(at, 0)) for at, end in ends.items())

    def wait(self, condition: Callable[[], object], what: str, pause_s: float = 0.05) -> None:
        """Wait for a condition, and start again what ends meanwhile for a reason that may pass."""

        def check() -> object:
            self._supervise()
            self.meanwhile()
            return condition()

        wait_for(check, what, pause_s=pause_s)

    def _supervise(self) -> None:
        for name, process in list(self.cluster.processes.items()):
            code = process.poll()
            if code is not None:
                assert code == EXIT_TEMPORARY, f"{name} ended with {code}:\n{self.cluster.log(name)}"
                self.restarted.append(name)
                self.cluster.start(name)

    def learned(self, topic: str, group: str, end: int) -> None:
        """Wait until a learner's state covers its topic up to `end`."""
        at = TopicPartition(full_name(self.cluster.settings, topic), 0)
        name = f"{self.cluster.settings.kafka.topic_prefix}.{group}"
        consumer = KafkaConsumer(**client_options(self.cluster.settings), group_id=name, enable_auto_commit=False)
        consumer.assign([at])
        try:
            self.wait(lambda: consumer.committed(at) == end, f"{group} to learn all of {topic}")
        finally:
            consumer.close()

    def ask(self, path: str, **params: str) -> httpx.Response | None:
        """What the search API answers; None if nothing."""
        try:
            return httpx.get(f"{self.cluster.settings.serve.url}{path}", params=params, timeout=10, trust_env=False)
        except httpx.TransportError:
            return None

    def answers(self) -> None:
        """Wait for the search API to be ready, then ask for something of each kind."""
        self.wait(lambda: (answer := self.ask("/readyz")) and answer.status_code == 200, "a search API that is ready")
        status = self.ask("/v1/status")
        assert status.json()["images"] == self.index.count(), status.text
        for hit in self.index.scroll(None, 1_000)[0][::50]:
            found = self.ask(f"/v1/search/id/{hit.image_id}")
            assert found.status_code == 200 and found.json()["results"], found.text
            assert self.ask(f"/v1/images/{hit.image_id}/bytes").status_code == 200
        by_tag = self.ask("/v1/search/tag", tag="posted")
        assert by_tag.status_code == 200 and by_tag.json()["results"], by_tag.text

    def close(self) -> None:
        self._writer.close()

    def _post(self, lines: list[Line]) -> None:
        for line in lines:
            place = {"partition": line.partition, "timestamp_ms": FIRST_MS + self._posted}
            self._writer.send(line.topic, line.key, line.value, line.headers, **place)
            self._posted += 1
        self._writer.flush()
