"""Spellings: which names are one to the eye or the ear, as keys that are equal.

In: names and words. Out: keys. Raises PolicyError for what cannot be the name of a tag.

Names are compared as tags are (NFKC, case), hiragana as katakana. Kana are also compared by how they sound with what
somebody types in Latin letters: ねこ is neko. Long vowels count as short, and Hepburn as Kunrei: people write both.
"""

import re
import unicodedata

from models.tagging.memory.names import normalise_tag

_KATAKANA = {code: code + 0x60 for code in (*range(0x3041, 0x3097), 0x309D, 0x309E)}  # of each hiragana
_KANA = "KATAKANA LETTER "  # begins what Unicode calls one; the rest is its sound in Kunrei
_HAS_KANA = re.compile("[\u30a1-\u30fa]")
_HEARD = re.compile("[a-z'\u00e0-\u017f\u30a1-\u30fa\u30fc ]+")  # letters with marks too: kohi with macrons
_SILENT = " '\u30fc"  # the last makes a vowel long
_RULES = [
    (re.compile(pattern), kunrei)
    for pattern, kunrei in (
        ("sh", "sy"), ("tch", "tty"), ("ch", "ty"), ("ts", "t"), ("j", "zy"), ("f", "h"), ("yy", "y"), ("yi", "i"),
        ("d(?=[iu])", "z"), ("wo", "o"), ("m(?=[bmp])", "n"), ("o[uo]+", "o"), (r"([aiue])\1+", r"\1"),
    )
]  # fmt: skip


def fold(text: str) -> str:
    """The key under which a name is the same to the eye.

    Raises:
        PolicyError: it cannot be a name.
    """
    return of_name(normalise_tag(text))


def of_name(name: str) -> str:
    """The same of a name that is normalised."""
    return name.translate(_KATAKANA)


def sound(key: str) -> str:
    """A key, as `fold` gives it, by its sound: of kana, Latin letters, or both; empty where it has others."""
    if not _HEARD.fullmatch(key):
        return ""
    heard = ""
    for character in key:
        syllable = unicodedata.name(character, "").partition(_KANA)[2].lower()
        if syllable == "small tu":
            heard += "*"  # doubles the consonant that comes
        elif syllable.startswith("small "):
            heard = heard[:-1] + syllable.removeprefix("small ")  # ti and small ya are tya
        elif syllable or character not in _SILENT:
            heard += syllable or unicodedata.normalize("NFD", character)[0]  # without its macron
    heard = re.sub(r"\*(.)", r"\1\1", heard)
    for pattern, kunrei in _RULES:
        heard = pattern.sub(kunrei, heard)
    return heard if heard.isascii() and heard.isalpha() else ""


def has_kana(key: str) -> bool:
    """Whether a folded key has kana, so that its sound may be typed in other letters."""
    return _HAS_KANA.search(key) is not None
