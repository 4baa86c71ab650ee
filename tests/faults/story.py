"""A long seeded story in chapters: posts, re-posts, tags before and after their image, removals, deletions, operations
on tags, impressions, clicks and pairs, a producer's retries, and planted bad records.

A chapter's pictures and tags may come at any time. What it says of tags as such, and its clicks, come `later`, once
everything of it is in the index: only then is their outcome a function of the log (docs/delivery.md, Not promised).
"""

import random
from collections import Counter
from dataclasses import dataclass, field

from stream.events.codec import Headers, encode
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
from stream.log.reading.growth import home_of
from tests.faults.events import picture

PARTITIONS = 3
SOURCE = "story"
Letter = tuple[str, str, str]  # topic, id of the event or key of the record, reason


@dataclass(frozen=True)
class Line:
    """One record to post. The partition is said here: no client's partitioner decides what is compared."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: Headers


@dataclass
class Chapter:
    lines: list[Line] = field(default_factory=list)
    later: list[Line] = field(default_factory=list)


class Story:
    """`chapters` of `images` pictures each.

    Attributes:
        chapters: in the order in which they are told.
        alive: ids of the images that are there in the end.
        planted: the dead letters that have to come of it, each once.
    """

    def __init__(self, chapters: int, images: int, seed: int = 7) -> None:
        self._rng = random.Random(seed)
        self._images = images
        self._events = self._posted = 0
        self._late: list[int] = []  # their tags come a chapter before them
        self._used: list[str] = []  # tags that are on an image for certain
        self._gone: list[str] = []
        self._bad: list[Line] = []
        self.alive: dict[str, bool] = {}  # id -> whether it stays as it is: only such are clicked on
        self.planted: Counter[Letter] = Counter()
        self.chapters: list[Chapter] = []
        for number in range(chapters):
            self.chapters.append(Chapter())
            self._tell(number, last=number == chapters - 1)

    def ends(self, chapter: int) -> dict[tuple[str, int], int]:
        """For each partition of images.v1 the offset after this chapter."""
        told = Counter(line.partition for one in self.chapters[: chapter + 1] for line in one.lines)
        return {("images", partition): offset for partition, offset in told.items()}

    def count(self, topic: str) -> int:
        """Records of a topic."""
        return sum(line.topic == topic for one in self.chapters for line in (*one.lines, *one.later))

    def _tell(self, number: int, *, last: bool) -> None:
        rng, chapter = self._rng, self.chapters[-1]
        for image in (*self._late, *range(self._posted, self._posted + self._images)):
            if image not in self._late and image % 9 == 4 and not last:
                self._say(TagsApplied(image_id=f"i{image}", tags=("early", f"tag {image % 26}"), by="ann"))
                self._say(TagsRemoved(image_id=f"i{image}", tags=("tag 0", "posted")))
                continue
            self._post(image, number)
        self._late = [i for i in range(self._posted, self._posted + self._images) if i % 9 == 4 and not last]
        self._posted += self._images
        self._change(number)
        self._plant(number)
        chapter.lines += rng.sample([line for line in chapter.lines if line not in self._bad], 2)  # a producer's retry
        self._operate(number)
        self._click(number)

    def _post(self, image: int, number: int) -> None:
        rng, image_id = self._rng, f"i{image}"
        tags = ("posted",) if image % 5 == 0 else ()
        tags += (f"mixed {number}", f"passing {number}", f"old {number}") if image % 4 == 1 else ()
        self._say(ImagePosted(image_id=image_id, content=picture(image), tags=tags))
        self._used += [tag for tag in tags if tag == "posted"]
        self.alive[image_id] = image % 2 == 1
        for _ in range(rng.randint(0, 2)):
            tags = tuple(f"tag {rng.randint(0, 25)}" for _ in range(rng.randint(1, 3)))
            self._used += tags
            self._say(TagsApplied(image_id=self._one(), tags=tags, by=rng.choice(("ann", "bob", None))))

    def _change(self, number: int) -> None:
        """Take tags off, post an image again, take one down."""
        self._say(TagsRemoved(image_id=self._one(), tags=("posted", "tag 3")))
        changing = [image_id for image_id, stays in self.alive.items() if not stays][-20:]
        again = self._rng.choice(changing)
        self._say(ImagePosted(image_id=again, content=picture(100_000 + number), tags=("again",)))
        if number % 2 and len(changing) > 5:
            gone = self._rng.choice([image_id for image_id in changing if image_id != again])
            del self.alive[gone]
            self._gone.append(gone)
            self._say(ImageDeleted(image_id=gone))
            if number % 4 == 1:
                self._dead("image_deleted", TagsApplied(image_id=gone, tags=("too late",)))

    def _plant(self, number: int) -> None:
        """A bad record, of another kind each time."""
        name = f"bad{number}"
        match number % 7:
            case 0:
                self._dead("not_an_image", ImagePosted(image_id=name, content=b"no picture"))
            case 1:  # the good tag is taken
                self._dead("bad_tag", TagsApplied(image_id=self._one(), tags=("good", "x" * 101)), part="/tag/1")
            case 2:
                self._dead("wrong_key", TagsApplied(image_id=self._one(), tags=("lost",)), key=b"another")
            case 3:
                self._dead("wrong_topic", PairClicked(preferred="i1", over="i3"), topic="images")
            case 4:
                self._bad.append(self._line("images", name.encode(), b"{", [("content-type", b"text/plain")]))
                self.planted["images", name, "missing_headers"] += 1
            case 5:  # waits for an image that never comes, until somebody gives it up
                self._dead("unknown_image", TagsApplied(image_id=name, tags=("in vain",)))
                self._dead("unknown_image", TagsRemoved(image_id=name, tags=("in vain",)))
                self._say(WaitingEnded(image_id=name))
            case 6:  # and one that waits for ever
                self._say(TagsApplied(image_id=name, tags=("in vain",)))

    def _operate(self, number: int) -> None:
        used, name = sorted(set(self._used)), f"op{number}"
        kinds = ("merge", "alias", "rename", "forget", "imply", "split", "undo", "refused", "bad")
        match kinds[number % len(kinds)]:
            case "merge":
                self._operation(name, "merge", tuple(self._rng.sample(used, 2)), f"both {number}")
            case "alias":  # the other name is used before and after
                self._operation(name, "alias", (f"alias {number}",), self._rng.choice(used))
            case "rename":
                self._operation(name, "rename", (f"old {number}",), f"new {number}")
            case "forget":
                self._operation(name, "forget", (f"passing {number}",))
            case "imply":
                self._operation(name, "imply", (self._rng.choice(used),), f"kind {number}")
            case "split":
                moved = tuple(i for i in self.alive if int(i[1:]) % 4 == 1)[-2:]
                self._operation(name, "split", (f"mixed {number}",), f"apart {number}", moved)
            case "undo":
                self._say(TagOperationPosted(operation_id=name, kind="undo", target=f"op{number - 6}"))
            case "refused":
                self._operation(name, "merge", ("never used",), "posted")
            case "bad":
                key, value, headers = encode(
                    TagOperationPosted(operation_id=name, kind="forget", tags=("a",)), source=SOURCE, event_id=name
                )
                self._line("operations", key, value.replace(b"forget", b"merge"), headers)
                self.planted["operations", name, "bad_event"] += 1

    def _operation(self, name: str, kind: str, tags: tuple[str, ...], into: str = "", images: tuple = ()) -> None:
        self._say(TagOperationPosted(operation_id=name, kind=kind, tags=tags, into=into, images=images))

    def _click(self, number: int) -> None:
        rng, name = self._rng, f"page{number}"
        stays = [image_id for image_id, stay in self.alive.items() if stay]
        shown = rng.sample(stays, min(len(stays), 6))
        wholly = shown + self._gone[-1:] if number % 3 else shown
        propensities = tuple(1 / (place + 1) for place in range(len(wholly))) if number % 2 else None
        self._say(Impression(impression_id=name, session_id="s", shown=wholly, propensities=propensities))
        for clicked in rng.sample(shown[1:], min(2, len(shown) - 1)):
            self._say(Clicked(impression_id=name, session_id="s", image_id=clicked))
        self.chapters[-1].later.append(self.chapters[-1].later[-1])  # a producer's retry
        for _ in range(3):
            preferred, over = rng.sample(stays, 2)
            self._say(PairClicked(session_id="s", preferred=preferred, over=over))
        match number % 5:
            case 0:
                self._dead("unknown_impression", Clicked(impression_id="?", session_id="s", image_id=stays[0]))
            case 1:
                self._dead("bad_event", Clicked(impression_id=name, session_id="s", image_id="nowhere"))
            case 2:
                self._dead("unknown_image", PairClicked(preferred=stays[0], over="never posted"))
            case 3:
                self._dead("bad_event", PairClicked(preferred=stays[0], over=stays[0]))
            case 4:
                self._dead("image_deleted", PairClicked(preferred=stays[0], over=self._gone[-1]))

    def _one(self) -> str:
        """One of the images that are there."""
        return self._rng.choice(list(self.alive)[-30:])

    def _say(self, event: Event, *, topic: str = "", key: bytes = b"") -> Line:
        self._events += 1
        own_key, value, headers = encode(event, source=SOURCE, event_id=f"e{self._events}")
        return self._line(topic or event.topic, key or own_key, value, headers)

    def _dead(self, reason: str, event: Event, *, part: str = "", topic: str = "", key: bytes = b"") -> None:
        """Say what ends as a dead letter; with `part` a part of it."""
        self._bad.append(self._say(event, topic=topic, key=key))
        self.planted[topic or event.topic, f"e{self._events}{part}", reason] += 1

    def _line(self, topic: str, key: bytes, value: bytes, headers: Headers) -> Line:
        line = Line(topic, home_of(key, PARTITIONS) if topic == "images" else 0, key, value, headers)
        chapter = self.chapters[-1]
        (chapter.lines if topic == "images" else chapter.later).append(line)
        return line
