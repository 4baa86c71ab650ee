"""Workers of an embedded service that stopped themselves, and why: a small file that the service, its API and the
operator share.

In: a worker's last sentence. Out: what `/readyz` and `mekiki status` say, until `mekiki dlq resume` takes it back.
"""

import json
from pathlib import Path

FILE = "stopped.json"


def stopped_workers(data_path: Path) -> dict[str, str]:
    """What stopped, and what it said last."""
    try:
        found: dict[str, str] = json.loads((data_path / FILE).read_text())
    except FileNotFoundError:
        return {}
    return found


def note_stopped(data_path: Path, workers: dict[str, str]) -> None:
    """Write down what is stopped; nothing removes the file."""
    path = data_path / FILE
    if not workers:
        path.unlink(missing_ok=True)
        return
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(workers, ensure_ascii=False))
    partial.replace(path)
