"""What a line of words means: tags, examples, words of titles, or nothing.

In: a line, the names of tags, and whether any picture has a word. Out: what is wanted and what is not, and word by word
how that was understood. Raises what the question for a word raises; a word that means nothing is said.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from search.words.parse import Part, parse
from search.words.vocabulary import How, Vocabulary
from stream.index.contract import Terms
from stream.index.terms import word_terms

MOST_JOINED = 5  # words that are tried as one name
SHORT = 2  # letters from which on a word may be the beginning of a name; one where it is no ASCII


@dataclass(frozen=True)
class Meaning:
    """What one word, or some that are one name, means.

    Attributes:
        text: as it was typed.
        means: `text`: words of titles, authors and metadata.
        tag: what it means, by its own name.
        how: it means the tag.
        without: whether it is unwanted.
        nearest: names that are nearly so, where it means nothing.
    """

    text: str
    means: Literal["tag", "image", "text", "nothing"]
    tag: str = ""
    how: How | None = None
    without: bool = False
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True)
class Understood:
    """What a line means."""

    meanings: tuple[Meaning, ...]

    def tags(self, *, without: bool = False) -> list[str]:
        """Tags that are wanted, or that are not."""
        return [one.tag for one in self.meanings if one.means == "tag" and one.without == without]

    def examples(self, *, without: bool = False) -> list[str]:
        """Ids of images that what is looked for is like, or unlike."""
        return [one.text for one in self.meanings if one.means == "image" and one.without == without]

    def terms(self, *, without: bool = False) -> tuple[Terms, ...]:
        """Words that pictures are to have, or not to have."""
        said = [one.text for one in self.meanings if one.means == "text" and one.without == without]
        return tuple(map(word_terms, said))


def understand(line: str, vocabulary: Vocabulary, has: Callable[[Terms], bool]) -> Understood:
    """What a line means; `has` says whether any picture has some words."""
    parts, meanings = parse(line), list[Meaning]()
    while parts:
        joined, taken = _joined(parts, vocabulary)
        meanings.append(joined or _meaning(parts[0], vocabulary, has))
        parts = parts[taken:]
    return Understood(tuple(meanings))


def plain(parts: Sequence[Part]) -> int:
    """How many of the first of them may be words of one name: wanted, and nothing said of what they are."""
    others = (number for number, one in enumerate(parts) if one.kind != "word" or one.quoted or one.without)
    return min(next(others, len(parts)), MOST_JOINED)


def _joined(parts: Sequence[Part], vocabulary: Vocabulary) -> tuple[Meaning | None, int]:
    """The longest name that the first of some parts are together, and how many these are."""
    for count in range(plain(parts), 1, -1):
        text = " ".join(part.text for part in parts[:count])
        if found := vocabulary.find(text):
            return Meaning(text, "tag", found[0].tag, found[1]), count
    return None, 1


def _meaning(part: Part, vocabulary: Vocabulary, has: Callable[[Terms], bool]) -> Meaning:
    if part.kind == "like":
        return Meaning(part.text, "image", without=part.without)
    if found := vocabulary.find(part.text):
        return Meaning(part.text, "tag", found[0].tag, found[1], part.without)
    terms = word_terms(part.text) if part.kind == "word" else ()
    if terms and has(terms):
        return Meaning(part.text, "text", without=part.without)
    if (
        part.kind == "word"
        and not (part.without or part.quoted)
        and len(part.text) >= SHORT - (not part.text.isascii())
    ):
        for name in vocabulary.complete(part.text, 1, inside=False):
            return Meaning(part.text, "tag", name.tag, "beginning")
    return Meaning(part.text, "nothing", without=part.without, nearest=tuple(vocabulary.nearest(part.text)))
