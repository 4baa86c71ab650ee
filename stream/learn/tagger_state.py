"""The tag learner's state on disk, and what the stream keeps with it: offsets, high-water marks, the encoder's version.

In: the settings. Out: an `OpenTagger`, as it was at the last checkpoint.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from models.errors import CheckpointError, EncoderMismatchError, PoisonError
from models.tagging.examples import Example, TagOperation
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger
from stream.events.example import SourcedExample, decode_example
from stream.log.reading.positions import StoredOffset
from stream.log.record import Record
from stream.settings import Settings


class OpenTagger:
    """The tagger, its store, and what the stream keeps beside them; one thread.

    Attributes:
        offsets: of examples.v1, as far as the tagger has learned.
        high_water_marks: by source partition, "topic/partition", the position of the last record that was learned.
        encoder: version of the encoder that made the vectors learned so far; None before the first.
        position: examples and operations learned, repeated ones left out.
    """

    def __init__(self, store: TaggerStore, tagger: Tagger, document: dict[str, Any]) -> None:
        self.tagger = tagger
        self._store = store
        self.offsets = [StoredOffset(**offset) for offset in document.get("offsets", [])]
        self.high_water_marks: dict[str, int] = dict(document.get("high_water_marks", {}))
        self.encoder: str | None = document.get("encoder")
        self.position: int = document.get("position", 0)

    def new_of(self, record: Record) -> Example | TagOperation | None:
        """The example or operation of a record, None if it was learned before.

        Raises:
            CheckpointError: the record is not an example; somebody else writes our internal topic.
            EncoderMismatchError: its vector was made by another encoder than the state's.
        """
        try:
            sourced = decode_example(record.value, record.timestamp_ms)
            return sourced.example if self.is_new(sourced) else None
        except PoisonError as error:
            raise CheckpointError(f"examples.v1 offset {record.offset}: {error}") from error
        except EncoderMismatchError as error:
            raise EncoderMismatchError(f"examples.v1 offset {record.offset}: {error}") from error

    def learn(self, examples: Sequence[Example | TagOperation]) -> None:
        """Learn what `new_of` gave, in its order; raises as `Tagger.learn_many`."""
        self.tagger.learn_many(examples, self.position)
        self.position += len(examples)

    def is_new(self, sourced: SourcedExample) -> bool:
        """Whether an example was not learned before, and what it is to come after was; then it counts as learned.

        A batch may go to the broker in several requests, of which an early one fails. Then all of it is sent again.

        Raises:
            EncoderMismatchError: its vector was made by another encoder than those before.
        """
        source = f"{sourced.topic}/{sourced.partition}"
        if self._is_learned(source, sourced.position):
            return False
        if sourced.after is not None:
            topic, partition, position = sourced.after
            if not self._is_learned(f"{topic}/{partition}", position):
                return False
        if self.encoder not in (None, sourced.encoder):
            raise EncoderMismatchError(
                f"vector of encoder {sourced.encoder}, expected {self.encoder}; learn vectors of another encoder in "
                "another data directory"
            )
        self.high_water_marks[source], self.encoder = sourced.position, sourced.encoder
        return True

    def _is_learned(self, source: str, position: int) -> bool:
        return position <= self.high_water_marks.get(source, 0)

    def checkpoint(self) -> None:
        """Make state and offsets durable together."""
        document = {
            "offsets": [asdict(offset) for offset in self.offsets],
            "high_water_marks": self.high_water_marks,
            "encoder": self.encoder,
            "position": self.position,
        }
        self._store.checkpoint(document)

    def close(self) -> None:
        """Release the store; what was not checkpointed is read again."""
        self._store.close()


def open_tagger(settings: Settings) -> OpenTagger:
    """Open the state under the data directory, empty or where it stands.

    Raises:
        StorageUnavailableError: the folder cannot be made, or another process has the state open.
        CheckpointError: damaged, newer than this code, or learned with other settings.
        ConfigurationError: the classifier of tags is none that can be served.
    """
    tagging = settings.tagging
    learner = Tagger(classifier=tagging.classifier, max_tags=tagging.max_tags, backend=tagging.backend)
    store = TaggerStore(settings.data_path / "tagger.sqlite", learner)
    return OpenTagger(store, *store.open())
