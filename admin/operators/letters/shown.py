"""Dead letters as people read them: which picture first, why, and what to do; those of one reason together.

In: dead letters. Out: names, and tables on standard output. Nothing fails.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from rich.table import Column

from admin.console import out, print_table
from admin.operators.letters.reasons import reason_of
from stream.log.dead_letter import DeadLetter

NAMES = ("image_id", "operation_id", "impression_id", "preferred")  # fields of bodies that say what one is about


def name_of(letter: DeadLetter) -> str:
    """What a letter is about: the picture where it says so, else its key, else where it came from."""
    subject = dict(letter.headers).get("ce_subject", b"").decode(errors="replace")
    return subject or _said(letter) or (letter.key or b"").decode(errors="replace") or f"{letter.topic} {letter.origin}"


def _said(letter: DeadLetter) -> str:
    try:
        body = json.loads(letter.value or b"")
    except (ValueError, RecursionError):
        return ""
    found = [body[name] for name in NAMES if isinstance(body, dict) and isinstance(body.get(name), str)]
    return found[0] if found else ""


def show_by_reason(letters: Iterable[DeadLetter]) -> None:
    """One table for each reason, the reason with most letters last, where a person looks first."""
    by_reason: dict[str, list[DeadLetter]] = defaultdict(list)
    for letter in letters:
        by_reason[letter.reason].append(letter)
    for code, same in sorted(by_reason.items(), key=lambda item: len(item[1])):
        reason = reason_of(code)
        out.print(f"{len(same)} x {code}: {reason.words}")
        out.print(f"what to do: {reason.remedy}")
        columns = (
            Column("picture or file", overflow="fold", ratio=2), Column("what", overflow="fold", ratio=3),
            Column("when (UTC)", width=10), Column("id", width=12),
        )  # fmt: skip
        print_table((_row(letter) for letter in same), *columns)
    out.print(f"{sum(map(len, by_reason.values()))} dead letters; `mekiki dlq show ID` shows one whole")


def _row(letter: DeadLetter) -> tuple[str, str, str, str]:
    when = datetime.fromtimestamp(letter.timestamp_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return name_of(letter), letter.text, when, letter.id
