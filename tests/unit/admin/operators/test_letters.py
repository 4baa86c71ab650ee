"""Dead letters as people read them."""

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from admin.operators.letters.reasons import OTHER, REASONS, reason_of
from admin.operators.letters.shown import name_of, show_by_reason
from stream.events.codec import encode
from stream.events.schema import Clicked, ImagePosted, PairClicked, TagsApplied
from stream.log.dead_letter import DeadLetter

EVENTS_PAGE = Path(__file__).resolve().parents[4] / "docs" / "events.md"


def letter(event=None, reason="not_an_image", text="png: expected a picture", **known):
    key, value, headers = (None, None, []) if event is None else encode(event, source="/test")
    fields = {
        "topic": "images",
        "origin": f"0/5/{id(event)}",
        "reason": reason,
        "text": text,
        "timestamp_ms": 1_764_000_000_000,
    }
    return DeadLetter(**(fields | {"key": key, "value": value, "headers": headers} | known))


@pytest.mark.parametrize(("event", "name"), [
    (ImagePosted(image_id="cats/1.jpg", content=b"x"), "cats/1.jpg"), (TagsApplied(image_id="a", tags=("x",)), "a"),
    (Clicked(impression_id="p", image_id="cats/2.jpg"), "cats/2.jpg"), (PairClicked(preferred="a", over="b"), "a"),
])  # fmt: skip
def test_it_is_named_by_its_picture(event, name):
    assert name_of(letter(event)) == name


@pytest.mark.parametrize(("known", "name"), [
    ({"key": b"the key", "value": b"no json"}, "the key"), ({"value": b"[" * 100_000}, "images 0/5/6"),
    ({"value": b'{"image_id": 5}'}, "images 0/5/6"), ({"key": b"\xff", "value": b"[1]"}, "\ufffd"),
])  # fmt: skip
def test_otherwise_by_its_key_or_its_place(known, name):
    assert name_of(letter(origin="0/5/6", **known)) == name


def test_every_documented_reason_has_words_and_a_remedy():
    table = EVENTS_PAGE.read_text().partition("## What becomes a dead letter")[2].partition("\n## ")[0]
    documented = {
        code for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for code in re.findall("`(.*?)`", row)
    }
    assert len(documented) > 20
    assert documented <= REASONS.keys()
    assert reason_of("of a later version") == OTHER


def test_those_of_one_reason_stand_together_within_80_columns_as_they_were_written(capsys):
    ids = ["[red]cats[/red]/1.jpg", "写真/" + "猫" * 60 + ".png", "[/]", "x" * 200]
    letters = [letter(ImagePosted(image_id=name, content=b"x"), text=f"[b]{name}[/b]: no picture") for name in ids]
    show_by_reason([letter(reason="bad_tag", text="tag ''"), *letters])
    said = capsys.readouterr().out
    assert max(cell_len(line) for line in said.splitlines()) <= 80
    assert said.index("1 x bad_tag: a tag that cannot be one") < said.index(
        "4 x not_an_image: the bytes are no picture"
    )
    assert "what to do: export the picture again" in said
    whole = "".join(
        re.findall(r"[^│\n ]+", "".join(line.split("│")[1] for line in said.splitlines() if line.count("│") > 3))
    )
    for name in ids:
        assert name in whole
    assert said.rstrip().endswith("5 dead letters; `mekiki dlq show ID` shows one whole")
