"""The recipes of the docs, as they stand there."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def recipe(page: str, section: str, **replaced: str) -> str:
    """The first code block below a heading; `replaced` are texts of the page and what stands for them here."""
    text = (DOCS / page).read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.search(r"```\w+\n(.*?)```", text, re.DOTALL)
    assert found is not None, f"{page}: no recipe below {section}"
    code = found[1]
    for name, value in replaced.items():
        assert name in code
        code = code.replace(name, value)
    return code
