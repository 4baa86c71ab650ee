"""Commits to Kafka: the newest offset of each partition, not every time, and at once when asked."""

from stream.log import offset_committer as mirror
from stream.log.offset_committer import OffsetCommitter
from stream.log.positions import StoredOffset


class Reader:
    def __init__(self):
        self.commits = []

    def commit_offsets(self, offsets, *, wait=False):
        self.commits.append(({(o.topic, o.partition): o.offset for o in offsets}, wait))


def offset(partition, number):
    return StoredOffset("images", partition, number, "id", 0)


def test_commits_the_newest_of_each_partition_and_then_waits(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(mirror.time, "monotonic", lambda: clock[0])
    reader = Reader()
    mirrored = OffsetCommitter(reader)
    mirrored.add([offset(0, 1), offset(1, 5)])
    mirrored.add([offset(0, 2)])
    mirrored.commit()
    mirrored.add([offset(0, 3)])
    mirrored.commit()
    assert reader.commits == [({("images", 0): 2, ("images", 1): 5}, False)]
    clock[0] += mirror.EVERY_S
    mirrored.commit()
    assert reader.commits[1:] == [({("images", 0): 3}, False)]


def test_the_last_commit_does_not_wait_its_turn():
    reader = Reader()
    mirrored = OffsetCommitter(reader)
    for number in (1, 2):
        mirrored.add([offset(0, number)])
        mirrored.commit(now=True, wait=True)
    mirrored.commit(now=True, wait=True)
    assert reader.commits == [({("images", 0): 1}, True), ({("images", 0): 2}, True)]
