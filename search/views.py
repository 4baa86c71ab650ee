"""Answers as the API gives them: the only place where what is kept of a picture or a tag becomes what is shown.

In: results, payloads, rows of the tag learner. Out: models of search/schemas.py. Nothing fails.

A field of the index's payload that a view has under the same name is shown as it is; so a new one needs a line in
stream/index/payload.py and a line in search/schemas.py, and none here.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

from pydantic import BaseModel

from models.tagging.calibration.metrics import Quality
from models.tagging.serving.columns import TagRow
from search import schemas
from search.access.paths import bytes_url
from search.answer import Answer, Found, Prediction
from search.stalled import Stall
from search.tag_names import TagNames
from search.words.suggest import Suggestion
from search.words.understand import Understood
from stream.index.payload import ImagePayload, IndexRecord
from stream.log.record import Record

DIGITS = 6  # after the point, of scores and probabilities; float32 has about as many


def waiting(record: IndexRecord) -> schemas.Waiting:
    """An image that events wait for."""
    oldest = Record.from_text(record.waiting[0])
    return schemas.Waiting(
        image_id=record.image_id, events=len(record.waiting), decoding=len(record.undecoded),
        partition=oldest.partition, offset=oldest.offset,
    )  # fmt: skip


def stalled(stall: Stall) -> schemas.Stalled:
    """A partition that nobody reads on."""
    return schemas.Stalled(**asdict(stall), said=str(stall))


def page(answer: Answer, names: TagNames, **others: Any) -> schemas.Page:
    """A results page; `others` are the fields that the answer does not know."""
    return schemas.Page(
        results=[_result(item, names) for item in answer.results],
        ranker_version=answer.ranker_version,
        tagger_version=answer.tagger_version,
        cursor=answer.cursor,
        **others,
    )


def _result(item: Found, names: TagNames) -> schemas.Result:
    image_id, payload = item.hit.image_id, item.hit.payload
    return schemas.Result(
        **_kept(payload, schemas.Result) | _tags(image_id, payload, names),
        image_id=image_id,
        score=round(item.hit.score, DIGITS),
        rank_score=None if item.rank_score is None else round(item.rank_score, DIGITS),
        above_threshold=item.above_threshold,
        duplicates=item.duplicates,
        near_duplicate_of=item.near_duplicate_of,
        box=item.box,
        bytes_url=bytes_url(image_id),
    )


def image(image_id: str, payload: ImagePayload, names: TagNames, duplicates: Iterable[str]) -> schemas.ImageView:
    """One image as the index holds it, with the ids of images of the same bytes."""
    return schemas.ImageView(
        **_kept(payload, schemas.ImageView) | _tags(image_id, payload, names),
        image_id=image_id,
        tags_as_written=list(payload.tags),
        duplicates=sorted(duplicates),
        bytes_url=bytes_url(image_id),
    )


def words(understood: Understood) -> list[schemas.Word]:
    """What was understood of a line."""
    return [schemas.Word(**asdict(one)) for one in understood.meanings]


def suggestion(one: Suggestion) -> schemas.Suggestion:
    """A name that the end of a line may become."""
    return schemas.Suggestion(q=one.line, **asdict(one.name))


def prediction(found: Prediction, took_ms: float) -> schemas.Prediction:
    """Tags predicted for one image."""
    tags = [row.model_copy(update={"probability": round(row.probability, DIGITS)}) for row in found.tags]
    return schemas.Prediction(tags=tags, tagger_version=found.tagger_version, took_ms=took_ms)


def quality(row: Quality) -> schemas.TagQuality:
    """The running metrics over all tags."""
    return schemas.TagQuality(**numbers(row))


def _tags(image_id: str, payload: ImagePayload, names: TagNames) -> dict[str, list[str]]:
    """What the picture carries: its tags as they are called now, and what follows from them."""
    shown = names.shown(image_id, payload.tags)
    return {"tags": shown, "implied_tags": names.implied(shown)}


def _kept(payload: ImagePayload, model: type[BaseModel]) -> dict[str, Any]:
    """What the index keeps of a picture, as far as the model has a field of the same name."""
    return {field.name: getattr(payload, field.name) for field in fields(payload) if field.name in model.model_fields}


def numbers(row: TagRow | Quality) -> dict[str, Any]:
    """Fields of a row; null for what is not a number yet."""
    values = asdict(row)
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in values.items()}
