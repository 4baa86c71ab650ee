"""What became of each file: counted for people, and as JSON lines for programs.

In: one `Outcome` a file. Out: a summary on the console, a line a file in the report.
"""

import json
from collections import Counter, defaultdict
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeAlias

from admin.console import out, shown

NAMED = 20  # files named in the summary, of each kind; the report has all
Kind: TypeAlias = Literal["posted", "already there", "would be posted", "searchable", "dead", "skipped", "failed"]
SHOWN: tuple[Kind, ...] = ("would be posted", "searchable", "already there", "skipped", "failed", "dead")
BAD: tuple[Kind, ...] = ("failed", "dead")


@dataclass(frozen=True)
class Outcome:
    """What became of one file; `event_id` names the event that posts it."""

    file: str
    outcome: Kind
    reason: str = ""
    image_id: str = ""
    sha256: str = ""
    tags: tuple[str, ...] = ()
    event_id: str = ""


class Report(AbstractContextManager["Report"]):
    """Counts outcomes, and writes them where a person wants them written; a context manager."""

    def __init__(self, path: Path | None) -> None:
        self._file = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8", errors="backslashreplace")  # as JSON writes such characters
        self.counts: Counter[Kind] = Counter()
        self._reasons: dict[Kind, Counter[str]] = defaultdict(Counter)
        self._named: dict[Kind, list[Outcome]] = defaultdict(list)
        self.last: Outcome | None = None

    def add(self, one: Outcome) -> None:
        """Take one file into account."""
        self.last = one
        self.counts[one.outcome] += 1
        if one.reason:
            self._reasons[one.outcome][one.reason] += 1
        if one.outcome in BAD and len(self._named[one.outcome]) < NAMED:
            self._named[one.outcome].append(one)
        if self._file is not None:
            self._file.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")

    @property
    def has_failed(self) -> bool:
        """Whether a file could not be posted, or is dead."""
        return any(self.counts[kind] for kind in BAD)

    @property
    def posted(self) -> int:
        """How many were posted, whatever became of them."""
        return self.counts["posted"] + self.counts["searchable"] + self.counts["dead"]

    def show(self, *, rate: float | None = None) -> None:
        """The summary for people; `rate` is pictures posted in a second."""
        if rate is not None:
            one = f"; id {shown(self.last.image_id)}" if self.posted == self.counts.total() == 1 and self.last else ""
            out.print(f"posted {self.posted} pictures, {rate:.0f}/s{one}", markup=False, soft_wrap=True)
        for kind in SHOWN:
            if self.counts[kind]:
                self._show(kind, self.counts[kind])

    def _show(self, kind: Kind, count: int) -> None:
        if kind not in BAD:
            why = "; ".join(f"{number} {reason}" for reason, number in self._reasons[kind].most_common(5))
            out.print(f"{kind} {count}" + (f": {why}" if why else ""), markup=False, soft_wrap=True)
            return
        out.print(f"{kind} {count}:", markup=False)
        for one in self._named[kind]:
            out.print(f"  {shown(one.file)}: {shown(one.reason)}", markup=False, soft_wrap=True)
        if count > len(self._named[kind]):
            out.print(f"  and {count - len(self._named[kind])} more; --report FILE names all", markup=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
