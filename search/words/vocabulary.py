"""What words mean among the tags that are served: whole names, beginnings, sounds, and names that are nearly so.

In: words, and the catalogue of the version that serves. Out: names with their tags and how many images carry these.
Nothing fails: what cannot be the name of a tag is none.
"""

import heapq
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from models.errors import PolicyError
from models.tagging.memory.names import normalise_tag
from models.tagging.serving.catalogue import TagCatalogue
from search.words.keys import INNER, SOUND, Keys
from search.words.spelling import fold, sound

How: TypeAlias = Literal["name", "alias", "spelling", "sound", "beginning"]
OFFERED = 3  # names that are nearly so


@dataclass(frozen=True)
class Name:
    """A name that means a tag.

    Attributes:
        name: as people write it.
        tag: what it means, by its own name.
        images: that carry the tag.
    """

    name: str
    tag: str
    images: int


class Vocabulary:
    """All names under one catalogue. Any thread may ask."""

    def __init__(self, catalogue: TagCatalogue, before: "Vocabulary | None" = None) -> None:
        """Sort the names of `catalogue`, as far as they were not sorted for the vocabulary `before`."""
        self._catalogue = weakref.ref(catalogue)
        self._rows = catalogue.rows
        kept = None if before is None else before._keys
        self._keys: Keys = kept if kept and kept.names == self._rows.keys() else Keys(self._rows.keys(), kept)
        self._tags = catalogue.snapshot.names
        self._images = catalogue.snapshot.columns.carried.tolist()

    def is_of(self, catalogue: TagCatalogue) -> bool:
        """Whether these are the names of this catalogue."""
        return self._catalogue() is catalogue

    def find(self, word: str) -> tuple[Name, How] | None:
        """The name that a word is, and how: to the letter, in another spelling, or by its sound."""
        key = _key(word)
        if not key:
            return None
        if normalise_tag(word) in self._rows:
            found = self._name(normalise_tag(word))
            return found, "name" if found.name == found.tag else "alias"
        if same := self._most_used(self._keys.exactly(key), 1):
            return same[0], "spelling"
        alike = self._most_used(self._keys.exactly(SOUND + sound(key)), 1)
        return (alike[0], "sound") if alike else None

    def complete(self, text: str, limit: int, *, inside: bool = True) -> list[Name]:
        """Names that begin so, also by their sound, those on most images first; then names with a word that does."""
        key = _key(text)
        if not key:
            return []
        heard = sound(key)
        begin = self._keys.beginning(key) + (self._keys.beginning(SOUND + heard) if heard else [])
        found = self._most_used(begin, limit)
        if inside and len(found) < limit:
            found += self._most_used(self._keys.beginning(INNER + key), limit)
        whole = [one for one in found if one.name == normalise_tag(text)]
        first = {one.tag: one for one in reversed(whole + found)}  # each tag once, under the first of its names
        return sorted(first.values(), key=(whole + found).index)[:limit]

    def nearest(self, word: str) -> list[str]:
        """Names that are nearly so, the nearest first, then those on most images."""
        near = self._keys.near(_key(word))
        best = heapq.nsmallest(OFFERED, near, key=lambda one: (one[0], -self._name(one[1]).images, one[1]))
        return [name for _, name in best]

    def _most_used(self, names: Iterable[str], limit: int) -> list[Name]:
        """Of these names those whose tags are on most images, a tag's own name before its others."""
        rows, tags, images = self._rows, self._tags, self._images

        def order(name: str) -> tuple[int, bool, str]:
            row = rows[name]
            return -images[row], name != tags[row], name

        return [self._name(name) for name in heapq.nsmallest(limit, set(names), key=order)]

    def _name(self, name: str) -> Name:
        row = self._rows[name]
        return Name(name, self._tags[row], self._images[row])


def _key(text: str) -> str:
    try:
        return fold(text)
    except PolicyError:
        return ""
