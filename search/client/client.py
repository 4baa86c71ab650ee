"""The typed client: one method for each thing that can be asked.

In: arguments. Out: models of search.schemas. Raises as search.client.transport.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from search import schemas
from search.access.paths import bytes_url, quote_id
from search.client.transport import Transport
from search.objects.schemas import ObjectPage
from search.tags import schemas as tag_schemas
from stream.events.details import MetadataValue

PAGE = 1_000  # images asked for at once


class Filters(TypedDict, total=False):
    """Which images are meant; see docs/api.md. `with_tags` goes as `with`, which is a word of Python."""

    with_tags: Sequence[str]
    without: Sequence[str]
    title: str
    author: str
    source_url: str
    metadata: Mapping[str, MetadataValue]
    posted_after: str
    posted_before: str
    min_width: int
    min_height: int
    aspect: str


class SearchOptions(Filters, total=False):
    """What all searches take."""

    limit: int
    rank: schemas.Rank
    collapse: schemas.Collapse
    min_score: float
    diverse: float
    cursor: str | None
    session_id: str


class Said(TypedDict, total=False):
    """What may be said of a picture that is posted."""

    tags: Sequence[str]
    complete: bool
    title: str
    source_url: str
    author: str
    metadata: Mapping[str, MetadataValue]


class Client(Transport):
    """The search API at an address; a context manager."""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def search(
        self, *, like: Sequence[str], unlike: Sequence[str] = (), **options: Unpack[SearchOptions]
    ) -> schemas.Page:
        """Images like these of the index and unlike those."""
        return self._page("GET", "/v1/search", {"like": list(like), "unlike": list(unlike)}, options)

    def search_words(
        self, q: str, *, like: Sequence[str] = (), unlike: Sequence[str] = (), order: str | None = None,
        **options: Unpack[SearchOptions],
    ) -> schemas.Page:  # fmt: skip
        """Images that words mean, see docs/api.md; also like some of the index, and unlike others."""
        given = {"q": q, "like": list(like), "unlike": list(unlike), "order": order}
        return self._page("GET", "/v1/search", given, options)

    def suggest(self, q: str, *, limit: int = 10) -> schemas.SuggestionPage:
        """Names of tags that the end of a line of words may become."""
        return schemas.SuggestionPage.model_validate_json(
            self.ask("GET", "/v1/suggest", {"q": q, "limit": limit}).content
        )

    def search_id(
        self, image_id: str, *, crop: str | None = None, objects: bool | None = None, **options: Unpack[SearchOptions]
    ) -> schemas.Page:
        """Images like one of the index, or a crop of it: left,top,width,height as shares."""
        return self._page("GET", f"/v1/search/id/{quote_id(image_id)}", {"crop": crop, "objects": objects}, options)

    def search_tag(self, tag: str, *, order: str | None = None, **options: Unpack[SearchOptions]) -> schemas.Page:
        """Images that a tag fits, tagged by anybody or not; `order` is carried or probability."""
        return self._page("GET", "/v1/search/tag", {"tag": tag, "order": order}, options)

    def search_image(
        self, content: bytes, *, crop: str | None = None, objects: bool | None = None, like: Sequence[str] = (),
        unlike: Sequence[str] = (), **options: Unpack[SearchOptions],
    ) -> schemas.Page:  # fmt: skip
        """Images like these bytes, or a crop of them; also like some of the index, and unlike others."""
        given = {"crop": crop, "objects": objects, "like": list(like), "unlike": list(unlike)}
        return self._page("POST", "/v1/search/image", given, options, content)

    def predict(self, content: bytes, *, limit: int = 20, min_images: int = 1) -> schemas.Prediction:
        """Tags for these bytes."""
        answer = self.ask("POST", "/v1/predict", {"limit": limit, "min_images": min_images}, content=content)
        return schemas.Prediction.model_validate_json(answer.content)

    def predict_id(self, image_id: str, *, limit: int = 20, min_images: int = 1) -> schemas.Prediction:
        """Tags for an image of the index."""
        answer = self.ask("GET", f"/v1/predict/id/{quote_id(image_id)}", {"limit": limit, "min_images": min_images})
        return schemas.Prediction.model_validate_json(answer.content)

    def rank(self, image_ids: Sequence[str]) -> schemas.RankPage:
        """These images by taste, best first."""
        answer = self.ask("POST", "/v1/rank", json_body={"image_ids": list(image_ids)})
        return schemas.RankPage.model_validate_json(answer.content)

    def objects(self, image_id: str, *, every: bool = False) -> ObjectPage:
        """What can be seen in an image of the index."""
        answer = self.ask("GET", f"/v1/images/{quote_id(image_id)}/objects", {"all": every})
        return ObjectPage.model_validate_json(answer.content)

    def objects_in(self, content: bytes, *, every: bool = False) -> ObjectPage:
        """What can be seen in these bytes."""
        answer = self.ask("POST", "/v1/objects", {"all": every}, content=content)
        return ObjectPage.model_validate_json(answer.content)

    def image(self, image_id: str) -> schemas.ImageView:
        """What the index holds of an image."""
        return schemas.ImageView.model_validate_json(self.ask("GET", f"/v1/images/{quote_id(image_id)}").content)

    def images(self, **filters: Unpack[Filters]) -> Iterator[schemas.ImageView]:
        """All images, or those that filters leave, in an order that means nothing."""
        cursor = None
        while True:
            answer = self.ask("GET", "/v1/images", {"limit": PAGE, "cursor": cursor} | _named(filters))
            page = schemas.ImagePage.model_validate_json(answer.content)
            yield from page.images
            cursor = page.cursor
            if cursor is None:
                return

    def picture(self, image_id: str, size: int | None = None) -> bytes:
        """The bytes of an image, or a thumbnail."""
        return self.ask("GET", bytes_url(image_id), {"size": size}).content

    def post_image(
        self, content: bytes, image_id: str | None = None, *, wait: bool = False, **said: Unpack[Said]
    ) -> schemas.Posted:
        """Post bytes; with `wait` return when they can be found; `detail` says it where they cannot yet.

        Raises:
            UsageError: with `wait` also where the picture is dead, and why.
        """
        given = {"id": image_id, **_until(wait), **said}
        given["metadata"] = _pairs(said.get("metadata", {}))
        return schemas.Posted.model_validate_json(self.ask("POST", "/v1/images", given, content=content).content)

    def post_dataref(
        self, image_id: str, dataref: str, *, sha256: str | None = None, wait: bool = False, **said: Unpack[Said]
    ) -> schemas.Posted:
        """Post a picture that is elsewhere; as `post_image`."""
        body = {"image_id": image_id, "dataref": dataref, **said} | ({} if sha256 is None else {"sha256": sha256})
        answer = self.ask("POST", "/v1/images", _until(wait), json_body=body)
        return schemas.Posted.model_validate_json(answer.content)

    def delete_image(self, image_id: str, *, wait: bool = False) -> schemas.Accepted:
        """Take an image down everywhere; with `wait` return when no search finds it any more."""
        answer = self.ask("DELETE", f"/v1/images/{quote_id(image_id)}", _until(wait))
        return schemas.Accepted.model_validate_json(answer.content)

    def put_tags(
        self, image_id: str, tags: Sequence[str], *, by: str | None = None, complete: bool = False, wait: bool = False
    ) -> schemas.Accepted:
        """Put tags on an image, beside those it has; with `wait` return when they are on it."""
        body = {"tags": list(tags), "by": by, "complete": complete}
        answer = self.ask("PUT", f"/v1/images/{quote_id(image_id)}/tags", _until(wait), json_body=body)
        return schemas.Accepted.model_validate_json(answer.content)

    def delete_tags(self, image_id: str, tags: Sequence[str], *, wait: bool = False) -> schemas.Accepted:
        """Take tags off an image; with `wait` return when they are off."""
        answer = self.ask("DELETE", f"/v1/images/{quote_id(image_id)}/tags", {"tags": list(tags)} | _until(wait))
        return schemas.Accepted.model_validate_json(answer.content)

    def prefer(self, preferred: str, over: str, *, session_id: str = "anonymous") -> schemas.Accepted:
        """Say that of two images one was preferred."""
        body = {"preferred": preferred, "over": over, "session_id": session_id}
        return schemas.Accepted.model_validate_json(self.ask("POST", "/v1/pairs", json_body=body).content)

    def click(self, impression_id: str, image_id: str, *, session_id: str = "anonymous") -> schemas.Accepted:
        """Say that an image of a results page was clicked."""
        body = {"impression_id": impression_id, "image_id": image_id, "session_id": session_id}
        return schemas.Accepted.model_validate_json(self.ask("POST", "/v1/clicks", json_body=body).content)

    def tags(self, *, limit: int = 100, prefix: str = "") -> tag_schemas.TagPage:
        """Tags the learner knows, most images first."""
        answer = self.ask("GET", "/v1/tags", {"limit": limit, "prefix": prefix})
        return tag_schemas.TagPage.model_validate_json(answer.content)

    def tag(self, name: str) -> tag_schemas.TagView:
        """One tag."""
        return tag_schemas.TagView.model_validate_json(self.ask("GET", f"/v1/tags/{quote_id(name)}").content)

    def status(self) -> schemas.Status:
        """Counts and versions."""
        return schemas.Status.model_validate_json(self.ask("GET", "/v1/status").content)

    def _page(
        self, method: str, path: str, given: dict[str, Any], options: SearchOptions, content: bytes | None = None
    ) -> schemas.Page:
        asked = given | _named(options)
        return schemas.Page.model_validate_json(self.ask(method, path, asked, content=content).content)


def _until(wait: bool) -> dict[str, Any]:
    return {"wait": "searchable" if wait else None}


def _named(filters: Filters) -> dict[str, Any]:
    """As the API calls them."""
    named: dict[str, Any] = dict(filters)
    named["with"] = named.pop("with_tags", None)
    return named | {"metadata": _pairs(filters.get("metadata", {}))}


def _pairs(metadata: Mapping[str, MetadataValue]) -> list[str]:
    """NAME=VALUE of each, as query parameters say them."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}
    return [f"{name}={text}" for name, text in texts.items()]
