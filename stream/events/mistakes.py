"""What is wrong with an event or a request, in one sentence for people.

In: what pydantic found. Out: where the first mistake is, the rule it breaks, what to do. Nothing fails; what was sent
is not repeated, it may be anything.
"""

from collections.abc import Sequence
from typing import Any

from pydantic_core import ErrorDetails

NAME = r"^[^\x00-\x1f\x7f]+$"
TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"  # white space is text, other control characters are not
WEB_URL = r"^[hH][tT][tT][pP][sS]?://[^\s\x00-\x1f\x7f]+$"
SHA256 = r"^[0-9a-fA-F]{64}$"
_RULES = {  # of patterns, which say nothing to people
    NAME: "expected no control characters; remove them",
    TEXT: "expected no control characters; remove them",
    WEB_URL: "expected an http or https URL without spaces; correct it",
    SHA256: "expected 64 hexadecimal digits; correct it",
}
_PLAIN = "expected a text, a finite number, true, false or null; correct it"


def first_mistake(errors: Sequence[ErrorDetails | dict[str, Any]], whole: str = "body") -> str:
    """The first of them; `whole` is what everything is called, where it is no part that is wrong."""
    first = errors[0]
    if first["type"] == "json_invalid":  # its place is a number of a character
        return f"{whole}: expected JSON; correct it"
    place = [str(part) for part in first["loc"]]
    if "metadata" in place[:2] and len(place) >= 3 and place[-1] in _KINDS:
        return f"{'.'.join(place[:-1])}: {_PLAIN}"
    return f"{'.'.join(place) or whole}: {_rule(first['type'], first.get('ctx', {})) or first['msg']}"


_KINDS = ("bool", "int", "float", "str", "constrained-int")  # which pydantic tries, one after another


def _rule(kind: str, about: dict[str, Any]) -> str | None:
    if kind == "string_pattern_mismatch":
        return _RULES.get(about["pattern"])
    if kind == "string_too_long":
        return f"expected at most {about['max_length']} characters; shorten it"
    if kind == "string_too_short":
        return f"expected at least {about['min_length']} character; leave it out or fill it in"
    if kind in ("model_type", "model_attributes_type"):
        return "expected a JSON object; send one"
    return "expected, and not there; add it" if kind == "missing" else None
