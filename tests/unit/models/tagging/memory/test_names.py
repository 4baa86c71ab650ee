"""Tag names: one spelling comes out of what people write, or it is refused."""

import pytest

from models.errors import PolicyError
from models.tagging.memory.names import normalise_tag


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("  Red   Panda ", "red panda"),
        ("red_panda", "red panda"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("ﬁre", "fire"),
        ("ＡＢＣ", "abc"),
        ("猫", "猫"),
        ("ﾈｺ", "ネコ"),
        ("か\u3099", "が"),
        ("東京　タワー", "東京 タワー"),
        ("👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"),
        ("❤️", "❤️"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
        ("^_^", "^ ^"),
        ("a\tb\nc", "a b c"),
        ("___", "___"),
        ("x" * 100, "x" * 100),
    ],
)
def test_one_spelling(written: str, name: str) -> None:
    assert normalise_tag(written) == name
    assert normalise_tag(name) == name


@pytest.mark.parametrize("written", ["", "   ", "x" * 101, "a\x00b", "a\x07", "a\u202eb", "\ufeff", "\ud800"])
def test_refuses_what_cannot_be_a_tag(written: str) -> None:
    with pytest.raises(PolicyError) as caught:
        normalise_tag(written)
    assert caught.value.reason == "bad_tag"
    assert "expected" in str(caught.value)
