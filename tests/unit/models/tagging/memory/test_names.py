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
        ("\u2764\ufe0f", "\u2764"),
        ("\u2764\ufe0e", "\u2764"),
        ("葛\U000e0100", "葛"),
        ("cat\u200b", "cat"),
        ("\ufeffcat", "cat"),
        ("co\u00adoperate", "cooperate"),
        ("a\u202eb", "ab"),
        ("cat\u200d", "cat"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\U0001fae8", "\U0001fae8"),  # Unicode 15, newer than the tables of Python 3.11
        ("\U0001faef", "\U0001faef"),  # kept for pictographs to come
        ("👩‍👩‍👧‍👦" * 50, "👩‍👩‍👧‍👦" * 50),
        ("🇯🇵" * 100, "🇯🇵" * 100),
        ("👍🏽" * 100, "👍🏽" * 100),
        ("e\u0323\u0301" * 100, "ẹ\u0301" * 100),
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


@pytest.mark.parametrize("written", [
    "", "   ", "x" * 101, "🇯🇵" * 101, "x" + "\u0301" * 500, "a\x00b", "a\x07", "\u200b", "\u200d", "\ufeff", "\ud800",
    "\u0378",
])  # fmt: skip
def test_refuses_what_cannot_be_a_tag(written: str) -> None:
    with pytest.raises(PolicyError) as caught:
        normalise_tag(written)
    assert caught.value.reason == "bad_tag"
    assert "expected" in str(caught.value)
