"""What is said of a picture beside its tags, as terms that filters ask for: one keyword field for all of it.

In: title, source URL, author and metadata of a picture, or what somebody looks for in them. Out: terms. Nothing fails.

Words are compared without regard to case, width or composition of characters. Scripts without spaces between words
count character by character. A URL is found whole or by its host; a value of metadata by its text or a word of it,
numbers by value.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from stream.events.details import MetadataValue

MOST_CHARS = 64  # of a term; a longer one stands as a hash
_UNSPACED = "\u0e00-\u0e7f\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}\U00020000-\U0003ffff]|(?:(?![{_UNSPACED}])\w)+")


def terms_of(title: str, author: str, source_url: str, metadata: Mapping[str, MetadataValue]) -> list[str]:
    """All terms of a picture, each once."""
    words = [*_words("title", title), *_words("author", author)]
    urls = [_term("url", one) for one in (source_url, _host(source_url)) if one]
    facts = [_term("metadata", f"{_plain(name)}={_value(value)}") for name, value in metadata.items()]
    texts = [word for value in metadata.values() if isinstance(value, str) for word in _words("text", value)]
    return list(dict.fromkeys([*words, *urls, *facts, *texts]))


def title_terms(text: str) -> tuple[tuple[str, ...], ...]:
    """Groups of terms: of each one must be there for a title to have all these words."""
    return tuple((term,) for term in _words("title", text))


def author_terms(text: str) -> tuple[tuple[str, ...], ...]:
    """The same of an author."""
    return tuple((term,) for term in _words("author", text))


def word_terms(text: str) -> tuple[tuple[str, ...], ...]:
    """The same of title, author and texts in metadata, wherever each word is."""
    return tuple(tuple(_term(kind, word) for kind in ("title", "author", "text")) for word in _split(text))


def source_terms(text: str) -> tuple[tuple[str, ...], ...]:
    """A URL, or the host of one."""
    return ((_term("url", text if "/" in text else text.lower()),),)


def metadata_terms(name: str, value: str) -> tuple[tuple[str, ...], ...]:
    """A value under a name: this text, or the number, truth or nothing that it says."""
    try:
        said = json.loads(value)
    except ValueError:
        said = value
    values: Iterable[MetadataValue] = (value, said) if isinstance(said, bool | int | float | None) else (value,)
    return (tuple(dict.fromkeys(_term("metadata", f"{_plain(name)}={_value(one)}") for one in values)),)


def _host(url: str) -> str:
    """The host of a URL, in small letters; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # of brackets that are no address
        return ""


def _words(kind: str, text: str) -> Iterable[str]:
    return [_term(kind, word) for word in _split(text)]


def _split(text: str) -> Iterable[str]:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return dict.fromkeys(_WORD.findall(folded))


def _value(value: MetadataValue) -> str:
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _term(kind: str, text: str) -> str:
    if len(text) > MOST_CHARS:
        text = "#" + hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()
    return f"{kind} {text}"
