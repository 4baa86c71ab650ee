"""Names that are one to the eye or to the ear."""

import pytest

from search.words.spelling import fold, has_kana, sound


@pytest.mark.parametrize(("one", "other"), [
    ("ねこ", "ネコ"), ("ﾈｺ", "ねこ"), ("がっこう", "ガッコウ"), ("Red_Panda", "red  panda"), ("ＣＡＴ", "cat"),
    ("ゔ", "ヴ"),
])  # fmt: skip
def test_one_to_the_eye(one, other):
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("猫", "ネコ"), ("は", "ば"), ("cat", "cats"), ("コーヒ", "コヒ")])
def test_two_to_the_eye(one, other):
    assert fold(one) != fold(other)


@pytest.mark.parametrize(("kana", "latin"), [
    ("ねこ", "neko"), ("しろ", "shiro"), ("しろ", "siro"), ("シャチ", "shachi"), ("シャチ", "syati"),
    ("まっちゃ", "matcha"),
    ("とうきょう", "tokyo"), ("とうきょう", "Tōkyō"), ("とうきょう", "toukyou"), ("おおさか", "osaka"),
    ("じゅんいち", "jun'ichi"), ("ふじさん", "fujisan"), ("ファン", "fan"), ("しんぶん", "shimbun"),
    ("コーヒー", "koohii"),
    ("つづき", "tsuzuki"), ("ラーメン", "ramen"), ("ティーカップ", "tiikappu"), ("きって", "kitte"),
    ("あかい ねこ", "akai neko"), ("Tしゃつ", "tshatsu"),
])  # fmt: skip
def test_one_to_the_ear(kana, latin):
    assert sound(fold(kana)) == sound(fold(latin)) != ""


@pytest.mark.parametrize("text", ["猫", "赤い", "кот", "cat 7", "🐱", "ッ", ""])
def test_what_has_other_characters_has_no_sound(text):
    assert sound(text) == ""


def test_kana_are_told_from_others():
    assert has_kana(fold("ね")) and has_kana(fold("赤い")) and not has_kana("猫 cat ・")
