"""Tag names: what people write in, one spelling out.

NFKC, lower case (Unicode case folding), trimmed, inner white space and underscores to single spaces (producers write
`red_panda` for `red panda`; a name of nothing but underscores stays). Japanese and emoji stay intact, joined emoji too.
"""

import unicodedata
from functools import lru_cache

from models.errors import PolicyError

MAX_LENGTH = 100  # characters after normalisation: longer "tags" in the wild are sentences or pasted pages
_TAG_CHARACTERS = set(map(chr, range(0xE0020, 0xE0080)))  # the flags of England, Scotland and Wales are spelt so
_ALLOWED = {"\u200c", "\u200d"} | _TAG_CHARACTERS  # ZWNJ shapes Persian and Indic words, ZWJ joins emoji
_FORBIDDEN = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp", "Cf"}  # categories, but for those allowed
_SPACES = {"\t", "\n", "\r", "_"}  # a tab or line break between two words is a space


@lru_cache(maxsize=1 << 15)  # the same words come again and again, and a name takes microseconds
def normalise_tag(text: str) -> str:
    """Return the one spelling under which `text` is learned.

    Raises:
        PolicyError: reason `bad_tag`; nothing is left, too long, or a control or unassigned character inside.
    """
    spaced = "".join(" " if character in _SPACES else character for character in text)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", spaced).casefold())
    name = " ".join(folded.split()) or text.strip()
    if not name:
        raise PolicyError("tag '': expected 1 to 100 characters; leave empty tags out", "bad_tag")
    if len(name) > MAX_LENGTH:
        raise PolicyError(
            f"tag '{name[:40]}...' of {len(name)} characters: expected at most {MAX_LENGTH}; a tag is a name, no text",
            "bad_tag",
        )
    for character in name:
        if unicodedata.category(character) in _FORBIDDEN and character not in _ALLOWED:
            raise PolicyError(
                f"tag {name!r}: expected no control character, found U+{ord(character):04X}; remove it", "bad_tag"
            )
    return name
