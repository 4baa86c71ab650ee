"""The parts one running search API holds: index, searcher, models, and the writer for clicks and impressions."""

import contextlib
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from models.errors import IndexUnavailableError, InfrastructureError, NotFoundError, PolicyError
from models.tagging.examples import OperationRow
from search import views
from search.access.keys import Keys
from search.answer import Options
from search.pictures.outcomes import Outcomes
from search.pictures.thumbnails import Thumbnails
from search.query import Searcher
from search.schemas import Status
from search.served import ServedModels
from search.stalled import StallWatch
from search.words.vocabulary import Vocabulary
from stream.events.schema import Event
from stream.index.contract import VectorIndex
from stream.index.objects import ObjectIndex
from stream.index.payload import ImagePayload, IndexRecord
from stream.log.model_versions import ModelFollower
from stream.log.produce import LogWriter
from stream.pictures.dataref import DatarefReader, checked_sha256
from stream.pictures.decode_pool import Crop
from stream.pictures.store import PictureStore
from stream.settings import Settings
from stream.stopped import stopped_workers

SOURCE = "mekiki/search"  # of events that the API posts


def _spellings(image_id: str) -> list[str]:
    """An id as it was asked for, then composed and decomposed: a file's name may come in either form."""
    if image_id.isascii():
        return [image_id]
    forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    return list(dict.fromkeys((image_id, *(unicodedata.normalize(form, image_id) for form in forms))))


@dataclass
class Service:
    """See the module."""

    settings: Settings
    index: VectorIndex
    objects: ObjectIndex
    searcher: Searcher
    served: ServedModels
    follower: ModelFollower
    watch: StallWatch
    writer: LogWriter
    pictures: PictureStore
    datarefs: DatarefReader
    encoder_version: str
    keys: Keys
    outcomes: Outcomes
    thumbnails: Thumbnails
    _vocabulary: Vocabulary | None = None

    def payload(self, image_id: str) -> ImagePayload:
        """What the index keeps of one image.

        Raises:
            NotFoundError: it is not there.
        """
        record = self.records([image_id]).get(image_id)
        if record is None or record.payload is None:
            raise NotFoundError(f"image {image_id!r}: not in the index; post it first")
        return record.payload

    def records(self, image_ids: Sequence[str]) -> dict[str, IndexRecord]:
        """What is known of images, by the id asked for; where nobody used that, of its other Unicode form."""
        if not image_ids:
            return {}
        spellings = {image_id: _spellings(image_id) for image_id in image_ids}
        found = self.index.fetch([spelling for forms in spellings.values() for spelling in forms])
        known = {i: [found[form] for form in forms if form in found] for i, forms in spellings.items()}
        return {i: next((one for one in records if one.payload), records[0]) for i, records in known.items() if records}

    def ids_of(self, image_ids: Sequence[str]) -> list[str]:
        """Ids as they were posted: those asked for, or their other Unicode form; where nobody used one, composed."""
        records = self.records([one for one in image_ids if not one.isascii()])
        composed = (unicodedata.normalize("NFC", one) for one in image_ids)
        return [records[i].image_id if i in records else nfc for i, nfc in zip(image_ids, composed, strict=True)]

    def id_of(self, image_id: str) -> str:
        """One of them."""
        return self.ids_of([image_id])[0]

    def picture(self, image_id: str) -> bytes:
        """The bytes of one image.

        Raises:
            NotFoundError: the image or its bytes are not there.
        """
        payload = self.payload(image_id)
        try:
            if payload.stored:
                return self.pictures.get(payload.stored)
            content = self.datarefs.read(payload.uri)
            checked_sha256(content, payload.sha256)  # nothing but the picture that was indexed is ever served
        except (FileNotFoundError, PolicyError):
            raise NotFoundError(f"image {image_id!r}: its bytes are not there any more; post it again") from None
        return content

    def thumbnail(self, image_id: str, sha256: str, size_px: int) -> bytes:
        """The picture with this hash, as a small WebP.

        Raises:
            NotFoundError: its bytes are not there.
        """
        return self.thumbnails.get(sha256, size_px) or self.thumbnails.make(self.picture(image_id), sha256, size_px)

    def also_objects(self, options: Options, wanted: bool | None, crop: Crop | None) -> Options:
        """The options of a search in which objects are found too, if they are there: asked for, or for a crop."""
        objects = crop is not None if wanted is None else wanted
        return replace(options, objects=objects and self.settings.objects.per_image > 0)

    def post(self, event: Event, *, timeout_s: float = 10.0) -> str:
        """Put an event into the log; returns its id once the broker has it.

        Raises:
            BrokerUnavailableError: it could not be stored.
        """
        event_id = str(uuid.uuid4())
        self.writer.send_now(event, event_id=event_id, timeout_s=timeout_s)
        return event_id

    def vocabulary(self) -> Vocabulary:
        """The names of tags, for words; made when a version is first asked for, by any thread that asks.

        Raises:
            InfrastructureError: no tagger was published yet.
        """
        catalogue, kept = self.searcher.tagger().catalogue, self._vocabulary
        if kept is None or not kept.is_of(catalogue):
            self._vocabulary = kept = Vocabulary(catalogue, kept)
        return kept

    def operation(self, operation_id: str) -> OperationRow:
        """What came of one operation on tags.

        Raises:
            NotFoundError: the learner has not met it.
        """
        for row in reversed(self.searcher.tagger().snapshot.operations):
            if row.operation_id == operation_id:
                return row
        raise NotFoundError(f"operation {operation_id!r}: not learned; `mekiki tags history` shows those that were")

    def status(self) -> Status:
        """Counts and versions of everything this process sees."""
        served, ranking = self.served.tagger, self.served.ranker  # read once: another thread swaps them
        tagger = None if served is None else served.predictor.snapshot
        ranker = None if ranking is None else ranking.ranker
        return Status(
            images=self.index.count(exact=False),
            images_with_objects=self.objects.count() if self.settings.objects.per_image else 0,
            images_waited_for=self.index.count("waiting", exact=False),
            estimated=self.settings.qdrant.url is not None,
            tags=0 if tagger is None else tagger.known,
            encoder_version=self.encoder_version,
            tagger_version=None if tagger is None else tagger.version,
            ranker_version=None if ranker is None else ranker.version,
            pairs_seen=0 if ranker is None else ranker.pairs_seen,
            quality=None if tagger is None else views.quality(tagger.quality),
            offsets=self.served.offsets,
            stopped=stopped_workers(self.settings.data_path),
            stalled=[views.stalled(stall) for stall in self.watch.stalls],
        )

    def check_ready(self) -> None:
        """Raise InfrastructureError unless queries can be answered and the log is read; asks no broker."""
        if not self.follower.is_alive():
            raise InfrastructureError("models: nobody follows them any more, the served ones grow old; restart the API")
        if self.follower.failing is not None:
            raise InfrastructureError(f"models: the newest is not served ({self.follower.failing}); see the log")
        if not self.follower.caught_up.is_set():
            raise InfrastructureError("models: not read from the log yet; wait a moment")
        for worker, said in stopped_workers(self.settings.data_path).items():
            raise InfrastructureError(f"{worker}: stopped ({said}), then `mekiki dlq resume`")
        if stalls := self.watch.stalls:
            raise InfrastructureError("; ".join(map(str, stalls)))
        self.index.fetch(["readyz"])  # any id: what counts is that it answers
        if self.settings.objects.per_image:
            self.objects.count()

    def close(self) -> None:
        """Stop following and watching, release connections."""
        self.outcomes.stop()
        self.watch.stop()
        self.follower.stop()
        self.follower.join(timeout=5)
        self.watch.join(timeout=5)
        self.writer.close()
        for index in (self.objects, self.index):
            with contextlib.suppress(IndexUnavailableError):
                index.close()
