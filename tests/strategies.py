"""Hypothesis strategies for events, shared by the laws."""

import string

from hypothesis import strategies as st

from stream.events.schema import (
    EVENTS,
    RESERVED_IDS,
    Clicked,
    Event,
    ImageDecoded,
    ImageDeleted,
    ImagePosted,
    Impression,
    ModelPublished,
    PairClicked,
    TagDrifted,
    TagOperationPosted,
    TagsApplied,
    TagsRemoved,
    TagsRevoked,
    TopicGrown,
    WaitingEnded,
)

# Hypothesis also tries the constants it reads in our modules, the ids that no image may have among them.
ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(
    lambda written: written not in RESERVED_IDS
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
tag_lists = st.lists(texts, max_size=5).map(tuple)
sha256s = st.text("0123456789abcdef", min_size=64, max_size=64)
offsets = st.integers(0, 2**41 - 2)
sources = st.text(string.ascii_letters + string.digits + "/:.-_ ", min_size=1, max_size=20)
# A first byte that no JSON has: a picture that begins with { and says no content type would be read as JSON.
contents = st.binary(max_size=200).map(lambda data: b"\x89" + data)
media_types = st.sampled_from([None, "image/png", "image/jpeg", "application/octet-stream"])

words = st.text("abc 猫", min_size=1, max_size=9)
titles = st.none() | st.text("abc 猫\n", min_size=1, max_size=9)
plain_values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
details = {
    "title": titles, "author": titles, "source_url": st.sampled_from([None, "https://example.org/猫?a=1"]),
    "metadata": st.dictionaries(words, plain_values, max_size=4),
}  # fmt: skip
inline = st.builds(
    ImagePosted, image_id=ids, content=contents, media_type=media_types, dataref=st.none(),
    sha256=st.none() | sha256s, tags=tag_lists, complete=st.booleans(), **details,
)  # fmt: skip
by_reference = st.builds(
    ImagePosted, image_id=ids, content=st.none(), media_type=media_types,
    dataref=st.just("file:///pictures/猫 1.png"), sha256=sha256s, tags=tag_lists, complete=st.booleans(), **details,
)  # fmt: skip
shown = st.lists(ids, min_size=1, max_size=4).map(tuple)
impressions = shown.flatmap(lambda page: st.builds(
    Impression, impression_id=ids, session_id=ids, shown=st.just(page),
    query=st.none() | texts, ranker_version=st.none() | st.integers(0, 2**40),
    propensities=st.none() | st.tuples(*[st.floats(0.01, 1)] * len(page)),
))  # fmt: skip
tag_names = st.lists(texts, min_size=1, max_size=3).map(tuple)
one_name = texts.map(lambda text: (text,))
operations = st.one_of(
    st.builds(
        TagOperationPosted, operation_id=ids, kind=st.sampled_from(["merge", "alias"]), tags=tag_names, into=words
    ),
    st.builds(
        TagOperationPosted, operation_id=ids, kind=st.sampled_from(["rename", "imply"]), tags=one_name, into=words
    ),
    st.builds(
        TagOperationPosted, operation_id=ids, kind=st.just("split"), tags=one_name, into=words,
        images=st.lists(ids, min_size=1, max_size=4).map(tuple),
    ),
    st.builds(TagOperationPosted, operation_id=ids, kind=st.just("forget"), tags=tag_names, by=st.none() | texts),
    st.builds(TagOperationPosted, operation_id=ids, kind=st.just("undo"), target=ids),
)  # fmt: skip
published = st.builds(
    ModelPublished, model=st.sampled_from(["tagger", "ranker"]), version=st.integers(0, 2**40), uri=texts,
    sha256=sha256s, base_uris=st.lists(texts, max_size=3).map(tuple),
    offsets=st.dictionaries(st.sampled_from(["examples/0", "clicks/0"]), offsets),
)  # fmt: skip
events: st.SearchStrategy[Event] = st.one_of(
    inline,
    by_reference,
    st.builds(ImageDeleted, image_id=ids),
    st.builds(WaitingEnded, image_id=ids),
    st.builds(ImageDecoded, image_id=ids, of=offsets, failure=texts, text=texts),
    st.builds(TagsApplied, image_id=ids, tags=tag_lists, by=st.none() | texts, complete=st.booleans()),
    operations,
    st.builds(TagsRemoved, image_id=ids, tags=st.lists(texts, min_size=1, max_size=5).map(tuple)),
    st.builds(
        TagsRevoked,
        image_id=ids,
        revocation=ids,
        said_by=texts.filter(bool),
        since=st.sampled_from(["", "2026-11-21T12:00:00Z", "2026-11-21T12:00:00.5+09:00"]),
        undo=st.booleans(),
    ),
    impressions,
    st.builds(Clicked, impression_id=ids, session_id=ids, image_id=ids),
    st.builds(PairClicked, session_id=ids, preferred=ids, over=ids),
    published,
    st.builds(TopicGrown, topic_id=texts, partitions=st.lists(st.integers(1, 1000), min_size=2, max_size=5).map(tuple)),
    st.builds(
        TagDrifted, tag=texts, learned=st.integers(0, 2**40), loss_before=st.floats(0, 1), loss_after=st.floats(0, 1)
    ),
)

EXAMPLES: dict[str, Event] = {
    event.type: event
    for event in (
        ImagePosted(image_id="cat-1", content=b"\x89PNG", media_type="image/png", tags=("cat", "猫"), complete=True),
        ImageDeleted(image_id="cat-1"),
        TagsApplied(image_id="cat-1", tags=("cat",), by="me"),
        TagsRemoved(image_id="cat-1", tags=("dog",)),
        TagsRevoked(image_id="cat-1", revocation="revoke-1", said_by="bot-3", since="2026-11-21T12:00:00Z"),
        WaitingEnded(image_id="cat-1", until=7),
        ImageDecoded(image_id="cat-1", of=7, failure="decode_timeout", text="too slow"),
        TagOperationPosted(operation_id="op-1", kind="merge", tags=("kitty",), into="cat"),
        Impression(impression_id="p1", session_id="s1", shown=("cat-1", "dog-1"), propensities=(1.0, 0.5)),
        Clicked(impression_id="p1", session_id="s1", image_id="cat-1"),
        PairClicked(preferred="cat-1", over="dog-1"),
        ModelPublished(model="tagger", version=3, uri="file:///m/3", sha256="0" * 64, offsets={"examples/0": 9}),
        TopicGrown(topic_id="BAs1rMYQQoiIPsYc1uLmDA", partitions=(4, 8)),
        TagDrifted(tag="mask", learned=20_480, loss_before=0.25, loss_after=0.5),
    )
}
assert EXAMPLES.keys() == EVENTS.keys()
