"""Work on a thread of its own: in order, ended by its owner, and begun anew in a copy."""

import copy
import threading

from models.background import BackgroundThread
from tests.tagged_images import learner


def test_calls_are_done_in_the_order_they_came() -> None:
    background, done = BackgroundThread("test-order"), list[int]()
    futures = [background.submit(done.append, number) for number in range(50)]
    for future in futures:
        future.result()
    background.close()
    assert done == list(range(50))


def test_a_closed_one_has_done_everything_and_may_be_used_again() -> None:
    background, release = BackgroundThread("test-close"), threading.Event()
    waiting = background.submit(release.wait, 10)
    release.set()
    background.close()
    assert waiting.done() and waiting.result()
    assert background.submit(lambda: threading.current_thread().name).result().startswith("test-close")
    background.close()


def test_a_copy_has_a_thread_of_its_own() -> None:
    background = BackgroundThread("test-copy")
    mine = background.submit(threading.get_ident).result()
    other = copy.deepcopy(background)
    assert other.submit(threading.get_ident).result() != mine
    for each in (background, other):
        each.close()


def test_a_learner_that_is_closed_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    tagger = learner(400)
    tagger.snapshot()
    started = {thread.name for thread in set(threading.enumerate()) - before}
    assert any(name.startswith("tag-evaluation") for name in started)
    tagger.close()
    assert not set(threading.enumerate()) - before
