"""Words that are nearly a given one: all of them compared at once.

In: words. Out: how many letters apart they are: put in, left out, exchanged, or in the wrong order. Nothing fails.
Source: optimal string alignment; Boytsov, Indexing methods for approximate dictionary searching, 2011.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SHORT = 4  # letters of a word in which one may be wrong; in longer ones two


class Spelt:
    """Words, letter by letter. W words, L letters in the longest that is compared."""

    def __init__(self, words: Sequence[str]) -> None:
        self._lengths = np.array([len(word) for word in words], np.int64)
        self._letters = _letters("".join(words))
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._held = np.bitwise_or.reduceat(_bits(self._letters), self._starts) if words else np.empty(0, np.uint64)

    def near(self, word: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Places of the words that are near, and how many letters apart they are."""
        letters = _letters(word)
        most = (len(letters) > 1) + (len(letters) > SHORT)
        held = np.bitwise_or.reduce(_bits(letters), initial=np.uint64(0))
        near = np.abs(self._lengths - len(letters)) <= most
        near &= np.bitwise_count(self._held ^ held) <= 2 * most  # one change takes a letter and brings another
        places = np.flatnonzero(near)
        apart = self._apart(letters, places)
        return places[apart <= most], apart[apart <= most]

    def _apart(self, letters: npt.NDArray[np.uint32], places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The distance [W] of a word from those at some places, a row of the table for each letter of it."""
        lengths = self._lengths[places]
        longest = int(lengths.max(initial=0))
        across = np.arange(longest + 1)
        taken = np.minimum(self._starts[places][:, None] + across[:-1], len(self._letters) - 1)
        theirs = np.where(across[:-1] < lengths[:, None], self._letters[taken], 0) if longest else taken
        rows = [np.repeat(across[None], len(places), axis=0)]
        for number, letter in enumerate(letters):
            best = rows[-1] + 1
            best[:, 1:] = np.minimum(best[:, 1:], rows[-1][:, :-1] + (theirs != letter))
            if number:
                crossed = (theirs[:, 1:] == letters[number - 1]) & (theirs[:, :-1] == letter)
                best[:, 2:] = np.where(crossed, np.minimum(best[:, 2:], rows[-2][:, :-2] + 1), best[:, 2:])
            rows.append(np.minimum.accumulate(best - across, axis=1) + across)  # letters put in
        found: npt.NDArray[np.int64] = rows[-1][np.arange(len(places)), lengths]
        return found


def _letters(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _bits(letters: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """One of 64 bits for each letter."""
    return np.uint64(1) << (letters % 64).astype(np.uint64)
