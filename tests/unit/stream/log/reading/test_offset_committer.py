"""Commits to Kafka: the newest offset of each partition, not every time, and at once when asked."""

from stream.log.reading import offset_committer
from stream.log.reading.offset_committer import EVERY_S, OffsetCommitter
from stream.log.reading.positions import StoredOffset


class Reader:
    def __init__(self):
        self.commits = []

    def commit_offsets(self, offsets, *, wait=False):
        self.commits.append(({(o.topic, o.partition): o.offset for o in offsets}, wait))


def offset(partition, number):
    return StoredOffset("images", partition, number, "id", 0)


def test_commits_the_newest_of_each_partition_and_then_waits(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(offset_committer.time, "monotonic", lambda: clock[0])
    reader = Reader()
    committer = OffsetCommitter(reader)
    committer.add([offset(0, 1), offset(1, 5)])
    committer.add([offset(0, 2)])
    committer.commit()
    committer.add([offset(0, 3)])
    committer.commit()
    assert reader.commits == [({("images", 0): 2, ("images", 1): 5}, False)]
    clock[0] += EVERY_S
    committer.commit()
    assert reader.commits[1:] == [({("images", 0): 3}, False)]


def test_the_last_commit_does_not_wait_its_turn():
    reader = Reader()
    committer = OffsetCommitter(reader)
    for number in (1, 2):
        committer.add([offset(0, number)])
        committer.commit(now=True, wait=True)
    committer.commit(now=True, wait=True)
    assert reader.commits == [({("images", 0): 1}, True), ({("images", 0): 2}, True)]
