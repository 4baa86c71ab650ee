"""Names under the keys that find them, in one sorted list.

In: names, and the list of before. Out: names by the whole of a key or by its beginning. Nothing fails.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Set
from functools import cached_property
from operator import itemgetter

from search.words.nearest import Spelt
from search.words.spelling import has_kana, of_name, sound

INNER, SOUND = "\0", "\1"  # begin keys of words inside a name, and of its sound; no name holds a control character
OWN = "\0"  # begins names of the learner's own, which nobody writes
FEW = 1_000  # new keys that are put in one by one; of more the list is sorted anew
_KEY = itemgetter(0)
_LAST = "\U0010ffff"  # comes after whatever a name holds


class Keys:
    """A list that does not change. K keys, about 2 for each name.

    Attributes:
        names: all of them.
    """

    def __init__(self, names: Set[str], before: "Keys | None" = None) -> None:
        """Sort the keys of `names`; those that were there `before` are sorted already."""
        pairs = [] if before is None else before._pairs
        known = frozenset[str]() if before is None else before.names
        if not known <= names:
            pairs = [pair for pair in pairs if pair[1] in names]
        self.names: Set[str] = names
        new = [(key, name) for name in names - known for key in _keys_of(name)]
        if len(new) > FEW:
            pairs = sorted(pairs + new)
        else:
            pairs = pairs[:]
            for pair in new:
                insort(pairs, pair)
        self._pairs: list[tuple[str, str]] = pairs

    def exactly(self, key: str) -> list[str]:
        """The names with this key."""
        return self._between(key, key + INNER)

    def beginning(self, key: str) -> list[str]:
        """The names with a key that begins so."""
        return self._between(key, key + _LAST)

    def near(self, key: str) -> list[tuple[int, str]]:
        """The names that are nearly so, and how many letters they are apart."""
        places, apart = self._spelt.near(key)
        return [(int(letters), self._whole[place][1]) for place, letters in zip(places, apart, strict=True)]

    @cached_property
    def _whole(self) -> list[tuple[str, str]]:
        return self._pairs[bisect_left(self._pairs, SOUND + _LAST, key=_KEY) :]

    @cached_property
    def _spelt(self) -> Spelt:
        return Spelt([key for key, _ in self._whole])

    def _between(self, first: str, end: str) -> list[str]:
        low = bisect_left(self._pairs, first, key=_KEY)
        return [name for _, name in self._pairs[low : bisect_left(self._pairs, end, low, key=_KEY)]]


def _keys_of(name: str) -> Iterator[str]:
    if name.startswith(OWN):
        return
    key = of_name(name)
    yield key
    words = key.split(" ")
    for number in range(1, len(words)):
        yield INNER + " ".join(words[number:])
    if has_kana(key) and (heard := sound(key)):
        yield SOUND + heard
