"""What people and programs post to a world: pictures, tags, operations, clicks; bad ones among them, and retries.

`planted` says of each event that can be nothing but a dead letter, by its id, for what reason.
"""

import zlib
from collections import deque
from dataclasses import replace

from stream.events.codec import encode
from stream.events.schema import (
    Clicked,
    Event,
    ImageDeleted,
    ImagePosted,
    Impression,
    PairClicked,
    TagOperationPosted,
    TagsApplied,
    TagsRemoved,
    WaitingEnded,
)
from tests.simulation.neighbours.broker import IMAGE_PARTITIONS, Broker, Sent

STABLE = tuple(f"s{n}" for n in range(5))  # posted first, never deleted: clicks and operations may count on them
IMAGES = tuple(f"i{n}" for n in range(9))
TAGS = ("cat", "Cat", "dog", "fox", "owl", "red panda")
KEPT_TAGS = ("m0", "m1", "m2", "m3")  # never taken off: then an operation means the same before and after them
BAD_TAGS = ("", "x" * 300)
REASONS = (
    "not_an_image", "sha256_mismatch", "bad_json", "wrong_key", "wrong_topic", "bad_tag", "unknown_image",
    "unknown_impression",
)  # fmt: skip
RECENT = 8  # events that may be posted again


def content(number: int) -> bytes:
    """A picture; there are few, so that images share them. Some take their own time."""
    return (b"slow" if number % 3 == 2 else b"pic") + bytes([number])


CONTENTS = tuple(content(number) for number in range(6))


def contents_of(image_id: str) -> tuple[bytes, ...]:
    """What an image may show. Those of one partition share bytes; two owners that do are a limit that is known."""
    return CONTENTS[zlib.crc32(image_id.encode()) % IMAGE_PARTITIONS :: IMAGE_PARTITIONS]


class Producer:
    """Posts events; `planted` as above."""

    def __init__(self, broker: Broker) -> None:
        self._broker, self._chance = broker, broker.chance
        self._recent: deque[Sent] = deque(maxlen=RECENT)
        self._operations = 0
        self._pages = 0
        self._events = 0
        self._images = IMAGES[: self._chance.pick((3, 5, len(IMAGES)))]
        self.planted: dict[str, str] = {}

    def begin(self) -> None:
        """Post the images that stay, with the tags that operations will name."""
        for number, image_id in enumerate(STABLE):
            self._broker.append(self._made(
                ImagePosted(image_id=image_id, content=content(100 + number), tags=(*KEPT_TAGS, "cat"))
            ))  # fmt: skip

    def post(self) -> None:
        """An event, or a retry, or two of which the first comes last."""
        self._broker.now_ms += self._chance.below(20)
        if self._recent and self._chance.hits("a producer posts again"):
            self._append(self._chance.pick(self._recent))
            return
        event = self._event()
        if self._chance.hits("a producer's first request fails, the second does not"):
            second = self._event()
            self._append(second)
            self._append(event)
            self._append(second)
            return
        self._append(event)
        if dict(event.headers)["ce_type"] == ImageDeleted.type.encode() and self._chance.below(2):
            self._append(self._made(self._picture_of(event.key.decode())))  # a picture that is taken down and put back

    def _append(self, sent: Sent) -> None:
        self._broker.append(sent)
        self._recent.append(sent)

    def _event(self) -> Sent:
        chance = self._chance
        what = chance.random.random()
        if what < 0.08:
            return self._bad()
        if what < 0.14:
            return self._made(self._operation())
        if what < 0.27:
            return self._made(self._click())
        return self._made(self._of_image(chance.pick(self._images)))

    def _of_image(self, image_id: str) -> Event:
        chance = self._chance
        what = chance.random.random()
        if what < 0.35:
            return self._picture_of(image_id)
        if what < 0.47:
            return ImageDeleted(image_id=image_id)
        if what < 0.52:
            return WaitingEnded(image_id=image_id, until=chance.pick((None, 1 + chance.below(60))))
        if what < 0.65:
            return TagsRemoved(image_id=image_id, tags=(chance.pick(TAGS), chance.pick(TAGS)), by="me")
        image_id = chance.pick((image_id, image_id, image_id, chance.pick(STABLE)))
        tags = self._some(TAGS + KEPT_TAGS) + ((chance.pick(BAD_TAGS),) if chance.below(8) == 0 else ())
        return TagsApplied(image_id=image_id, tags=tags, by=chance.pick((None, "me", "you")))

    def _picture_of(self, image_id: str) -> ImagePosted:
        """Mostly the one that this image had before."""
        chance = self._chance
        picture = chance.pick((contents_of(image_id)[0], chance.pick(contents_of(image_id))))
        tags, complete = self._some(TAGS + KEPT_TAGS), chance.below(4) == 0
        return ImagePosted(image_id=image_id, content=picture, tags=tags, complete=complete)

    def _some(self, among: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self._chance.pick(among) for _ in range(self._chance.below(4)))

    def _operation(self) -> TagOperationPosted:
        chance = self._chance
        self._operations += 1
        name = f"o{self._operations}"
        kind = chance.pick(("merge", "alias", "imply", "undo", "refused"))
        if kind == "undo":
            target = f"o{1 + chance.below(self._operations)}"
            return TagOperationPosted(operation_id=name, kind="undo", target=target)
        if kind == "refused":
            return TagOperationPosted(operation_id=name, kind="merge", tags=("never used",), into="m0")
        tag, into = chance.random.sample(KEPT_TAGS, 2)
        return TagOperationPosted(operation_id=name, kind=kind, tags=(tag,), into=into)  # type: ignore[arg-type]

    def _click(self) -> Event:
        chance = self._chance
        what = chance.random.random()
        if what < 0.4:
            preferred, over = chance.random.sample(STABLE, 2)
            return PairClicked(session_id="s", preferred=preferred, over=over)
        if what < 0.7 or not self._pages:
            self._pages += 1
            shown = tuple(chance.random.sample(STABLE, 3))
            return Impression(impression_id=f"p{self._pages}", session_id="s", shown=shown)
        page = f"p{1 + chance.below(self._pages)}"
        return Clicked(impression_id=page, session_id="s", image_id=chance.pick(STABLE))

    def _bad(self) -> Sent:
        """Something that is wrong whenever it is read."""
        image_id, reason = self._chance.pick(self._images), self._chance.pick(REASONS)
        tag = TagsApplied(image_id=image_id, tags=("cat",))
        if reason == "not_an_image":
            made = self._made(ImagePosted(image_id=image_id, content=b"no picture", media_type="image/png"))
        elif reason == "sha256_mismatch":
            made = self._made(ImagePosted(image_id=image_id, content=CONTENTS[0], sha256="0" * 64))
        elif reason == "bad_json":
            made = replace(self._made(tag), value=b"{")
        elif reason == "wrong_key":
            made = replace(self._made(tag), key=b"other")
        elif reason == "wrong_topic":
            made = replace(self._made(self._click()), topic="images")
        elif reason == "bad_tag":
            made = self._made(TagOperationPosted(operation_id="bad", kind="forget", tags=("x" * 300,)))
        elif reason == "unknown_image":
            made = self._made(PairClicked(session_id="s", preferred="s0", over="nobody"))
        else:
            made = self._made(Clicked(impression_id="no page", session_id="s", image_id="s0"))
        self.planted[dict(made.headers)["ce_id"].decode()] = reason
        return made

    def _made(self, event: Event) -> Sent:
        self._events += 1
        key, value, headers = encode(event, source="/people", event_id=f"e{self._events}")
        return Sent(event.topic, key, value, headers, timestamp_ms=self._broker.now_ms)
