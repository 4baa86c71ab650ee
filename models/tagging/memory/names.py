"""Tag names: what people write in, one spelling out.

NFKC, lower case (Unicode case folding), trimmed, inner white space and underscores to single spaces (producers write
`red_panda` for `red panda`; a name of nothing but underscores stays). Marks that nobody sees are dropped (zero-width
spaces, byte order marks, soft hyphens, directions), variation selectors too: the red heart and the heart in text style
are one tag. Japanese and emoji stay intact, joined emoji too, those newer than this Python's tables as well.
"""

import unicodedata
from functools import lru_cache

from models.errors import PolicyError

MAX_LENGTH = 100  # characters as people see them: longer "tags" in the wild are sentences or pasted pages
MAX_CODE_POINTS = 4 * MAX_LENGTH  # a family of joined emoji takes seven; what takes hundreds is no name
_INVISIBLE = {
    *(0xAD, 0x34F, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, 0xFEFF), *range(0x202A, 0x202F), *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0),
}  # fmt: skip
_DROP = dict.fromkeys(_INVISIBLE)
_EMOJI = (range(0x1F000, 0x1FB00), range(0x1FC00, 0x1FFFE))  # Unicode keeps these for pictographs, present and future
_MODIFIERS = range(0x1F3FB, 0x1F400)  # of skin
_REGIONAL = range(0x1F1E6, 0x1F200)  # two of them are a flag
_JOINERS = {"\u200c", "\u200d"}  # ZWNJ shapes Persian and Indic words, ZWJ joins emoji; both are category Cf
_EDGES = " \t\r\n\u200c\u200d"  # a joiner joins nothing there
_TAG_CHARACTERS = range(0xE0020, 0xE0080)  # the flags of England, Scotland and Wales are spelt with these
_FORBIDDEN = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp", "Cf"}
_SPACES = {"\t", "\n", "\r", "_"}  # a tab or line break between two words is a space


@lru_cache(maxsize=1 << 15)  # the same words come again and again, and a name takes microseconds
def normalise_tag(text: str) -> str:
    """Return the one spelling under which `text` is learned.

    Raises:
        PolicyError: reason `bad_tag`; nothing is left, too long, or a control or unassigned character inside.
    """
    spaced = "".join(" " if character in _SPACES else character for character in text)
    seen = spaced.translate(_DROP)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    name = " ".join(folded.split()).strip(_EDGES) or text.translate(_DROP).strip(_EDGES)
    if not name:
        raise PolicyError("tag '': expected 1 to 100 characters; leave empty tags out", "bad_tag")
    length = len(name) if len(name) <= MAX_LENGTH or len(name) > MAX_CODE_POINTS else _characters(name)
    if length > MAX_LENGTH:
        raise PolicyError(
            f"tag '{name[:40]}...' of {length} characters: expected at most {MAX_LENGTH}; a tag is a name, no text",
            "bad_tag",
        )
    for character in name:
        if unicodedata.category(character) in _FORBIDDEN and not _may_stay(character):
            raise PolicyError(
                f"tag {name!r}: expected no control character, found U+{ord(character):04X}; remove it", "bad_tag"
            )
    return name


def _may_stay(character: str) -> bool:
    code = ord(character)
    return character in _JOINERS or code in _TAG_CHARACTERS or any(code in emoji for emoji in _EMOJI)


def _characters(name: str) -> int:
    """Characters as people see them: combining marks, joined emoji and the second letter of a flag do not count.

    Source: Unicode Standard Annex 29, grapheme clusters, as far as names of tags need it.
    """
    count, joined, flag = 0, False, False
    for character in name:
        code = ord(character)
        continues = joined or code in _MODIFIERS or unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf")
        pair = code in _REGIONAL and flag
        count += not (continues or pair)
        joined, flag = character == "\u200d", code in _REGIONAL and not flag
    return count
