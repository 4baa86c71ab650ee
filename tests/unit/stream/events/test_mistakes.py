"""What is wrong is said in words: where, the rule, and never what was sent."""

import pytest
from pydantic import ValidationError

from stream.events.mistakes import first_mistake
from stream.events.schema import ImagePosted


def said(**fields: object) -> str:
    with pytest.raises(ValidationError) as caught:
        ImagePosted.model_validate({"image_id": "a"} | fields)
    return first_mistake(caught.value.errors())


PLAIN = "metadata.a: expected a text, a finite number, true, false or null; correct it"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"image_id": "secret\n"}, "image_id: expected no control characters; remove them"),
        ({"image_id": "x" * 257}, "image_id: expected at most 256 characters; shorten it"),
        ({"image_id": ""}, "image_id: expected at least 1 character; leave it out or fill it in"),
        ({"title": "a\x00"}, "title: expected no control characters; remove them"),
        ({"source_url": "ftp://x"}, "source_url: expected an http or https URL without spaces; correct it"),
        ({"sha256": "x"}, "sha256: expected 64 hexadecimal digits; correct it"),
        (
            {"metadata": {"a": float("nan")}},
            PLAIN,
        ),
        ({"metadata": {"a": []}}, PLAIN),
    ],
)
def test_a_mistake_is_a_sentence(fields: dict[str, object], sentence: str) -> None:
    assert said(**fields) == sentence


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        ImagePosted.model_validate({})
    assert first_mistake(caught.value.errors()) == "image_id: expected, and not there; add it"


def test_a_mistake_of_the_whole_is_called_so() -> None:
    with pytest.raises(ValidationError) as caught:
        ImagePosted.model_validate([])
    assert first_mistake(caught.value.errors(), "event").startswith("event: ")
