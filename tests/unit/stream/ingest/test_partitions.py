"""Records and partitions: what came to another than its home, and where partitions were added."""

from dataclasses import replace

from stream.events.schema import TopicGrown
from stream.log.reading.positions import position_of
from tests.fakes import make_record
from tests.unit.stream.ingest.rig import post, tag, wait_for


def test_a_record_in_another_partition_than_its_home_is_sent_there_and_applied_there_alone(rig):
    """Producers differ in how they choose a partition; two of them must not give an image two orders."""
    rig.log.post(post("a", b"pic1"), tag("a", "cat"), post("b", b"pic2"))
    worker = rig.worker()
    worker.reader.homes["a"] = 3
    worker.drain()
    sent = rig.writer.to("images")
    assert [(one.key, one.partition) for one in sent] == [(b"a", 3), (b"a", 3)]
    read = rig.log.read("images", 0, 0)
    assert [(one.value, one.headers) for one in sent] == [(one.value, list(one.headers)) for one in read[:2]]
    assert rig.index.real.fetch(["a", "b"]).keys() == {"b"}
    assert rig.offsets() == {("images", 0): 3}
    assert not rig.examples() and not rig.dead()


def test_what_went_astray_is_there_before_its_offset(rig):
    rig.log.post(post("a"))
    worker = rig.worker()
    worker.reader.homes["a"] = 1
    worker.drain()
    kinds = [kind for kind, _ in rig.journal.entries]
    assert kinds.index("acknowledged") < kinds.index("index")


def test_a_mark_that_a_topic_grew_moves_the_offset_and_nothing_else(rig):
    rig.log.append(replace(make_record(TopicGrown(topic_id="t", partitions=(1, 2))), topic="images"))
    rig.run()
    assert rig.offsets() == {("images", 0): 1}
    assert not rig.dead() and not rig.writer.acknowledged


def test_what_is_remembered_of_an_image_does_not_outlive_its_epoch(rig):
    """With more partitions it had another home, and another owner, in between."""
    worker = rig.worker().start()
    try:
        rig.log.post(post("a", tags=("one",)))
        wait_for(rig.is_done)
        one, two = rig.index.fetch(["a"], with_vectors=True)["a"], position_of(1, 0)
        rig.index.write([replace(one, position=two, payload=replace(one.payload, tags=("two",), said=()))], [])
        rig.log.append(replace(make_record(tag("a", "three"), offset=1), position=position_of(2, 1)))
        wait_for(rig.is_done)
    finally:
        worker.pipeline.stopping.stop()
        worker.join()
    assert rig.index.real.fetch(["a"])["a"].payload.tags == ("two", "three")
