"""One import from beginning to end: plan, send, wait, report.

In: what a person typed. Out: events in the log and a `Report`. Ctrl-C ends it after what was sent is acknowledged, and
KeyboardInterrupt goes on to the command; the next run goes on from there.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from admin.connect import Api
from admin.console import out, print_error, progress, shown
from admin.people.files.walk import SUFFIXES, Passed, Walk
from admin.people.importing.plan import Plan, Planned, Wanted, make_plan
from admin.people.importing.report import Outcome, Report
from admin.people.importing.send import SOURCE, Sender
from admin.people.importing.waiting import TOPIC, Waiter
from models.errors import ConfigurationError, UsageError
from stream.log.produce import LogWriter
from stream.log.tail import LogTail
from stream.settings import Settings

WATCH_S = 1.0  # between two looks at a folder


@dataclass(frozen=True)
class Manner:
    """How it is to be done; see the options of `mekiki post`."""

    again: bool = False
    dry_run: bool = False
    watch: bool = False
    wait: bool = False
    timeout_s: float = 300.0


def run(settings: Settings, wanted: Wanted, manner: Manner, report: Report) -> float:
    """Post everything once, or for as long as it is watched; pictures a second.

    Raises:
        UsageError: something has to be decided first; nothing was sent.
        InfrastructureError: a neighbour is away; what was sent is reported.
    """
    plan = make_plan(wanted, watching=manner.watch)
    if not manner.watch:
        _check_found(plan, wanted)
    api = _api(settings, manner)
    with ExitStack() as stack:
        writer = None if manner.dry_run else stack.enter_context(closing(LogWriter(settings, SOURCE)))
        waiter = None
        if manner.wait and api is not None:
            waiter = Waiter(api, stack.enter_context(closing(LogTail(settings, [f"{TOPIC}.dlq"]))))
        sender = Sender(settings, writer, None if manner.again else api)
        work = _Import(sender, waiter, report, manner.timeout_s)
        rate = work.take(plan)
        if manner.watch:
            _watch(work, wanted, plan)
    return rate


def _check_found(plan: Plan, wanted: Wanted) -> None:
    if not plan.pictures and not any(one.failed for one in plan.passed):
        raise UsageError(
            f"{' '.join(wanted.paths)}: no pictures found; expected files ending in {', '.join(sorted(SUFFIXES))}, or "
            "others with the bytes of one"
        )


def _api(settings: Settings, manner: Manner) -> Api | None:
    """Whom to ask what is there already.

    Raises:
        ConfigurationError: there is nobody, and pictures are to be waited for.
    """
    try:
        return Api(settings)
    except ConfigurationError:
        if manner.wait:
            raise
        if not manner.again:
            print_error("no search API to ask what is there already; everything is sent")
        return None


@dataclass
class _Import:
    """Takes plans; what it has taken is in the report."""

    sender: Sender
    waiter: Waiter | None
    report: Report
    timeout_s: float

    def take(self, plan: Plan) -> float:
        """Send all pictures of a plan and wait for them; pictures a second."""
        for note in plan.notes:
            print_error(note)
        for passed in plan.passed:
            self.report.add(_passed(passed))
        started_s = time.perf_counter()
        sent = sum(self._send(plan.pictures))
        rate = sent / max(time.perf_counter() - started_s, 1e-6)
        if self.waiter is not None:
            self._wait(self.waiter, sent)
        return rate

    def _send(self, pictures: Sequence[Planned]) -> Iterator[int]:
        """How many of each chunk were sent; Ctrl-C is heard once a chunk is acknowledged and reported."""
        with _bar("posting", len(pictures)) as advance, _interrupts() as interrupted:
            for outcomes in self.sender.outcomes(pictures):
                for one in outcomes:
                    if self.waiter is not None and one.outcome == "posted":
                        self.waiter.expect(one)
                    else:
                        self.report.add(one)
                advance(len(outcomes))
                yield sum(one.outcome == "posted" for one in outcomes)
                if interrupted.is_set():
                    raise KeyboardInterrupt

    def _wait(self, waiter: Waiter, count: int) -> None:
        with _bar("searchable", count) as advance:
            try:
                for one in waiter.results(self.timeout_s):
                    self.report.add(one)
                    advance(1)
            finally:
                for one in waiter.pending:
                    self.report.add(one)


def _watch(work: _Import, wanted: Wanted, first: Plan) -> None:
    """Follow what comes: a file is taken once it has stayed the same between two looks."""
    files = [*(one.path for one in first.pictures), *(one.path for one in first.passed)]
    done = {path: _state(path) for path in files}
    before: dict[Path, tuple[int, int]] = {}
    pause = threading.Event()
    out.print("watching; Ctrl-C ends it")
    while True:
        pause.wait(WATCH_S)
        walk = Walk()
        walk.take(list(wanted.paths))
        files = [*(one.path for one in walk.pictures), *(one.path for one in walk.passed)]
        now = {path: _state(path) for path in files}
        ready = {path for path, state in now.items() if done.get(path) != state and before.get(path) == state}
        before = now
        if not ready:
            continue
        plan = make_plan(wanted, watching=True)
        taken = [one for one in plan.pictures if one.path in ready]
        work.take(replace(plan, pictures=taken, passed=[one for one in plan.passed if one.path in ready], notes=[]))
        done |= {path: now[path] for path in ready}
        for one in taken:
            out.print(f"took {shown(one.path)}", markup=False, soft_wrap=True)


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C inside the block; the next one ends the block at once."""
    interrupted = threading.Event()
    usual = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, usual)

    if usual is not signal.SIG_IGN:  # as in the background of a script
        signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, usual)


def _state(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except OSError:
        return 0, 0
    return about.st_size, about.st_mtime_ns


def _passed(one: Passed) -> Outcome:
    return Outcome(str(one.path), "failed" if one.failed else "skipped", one.reason)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    with progress() as bar:
        task = bar.add_task(what, total=total, note="")
        yield lambda count: bar.advance(task, count)
