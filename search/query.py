"""How an answer is made: candidates from the index, duplicates collapsed, order by similarity, tag or taste.

In: picture bytes, an image id or tags. Out: `Answer`. Raises PoisonError for pictures that cannot be read, UsageError
for ids and tags nobody knows, InfrastructureError while a neighbour is away.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.encoders.base import Encoder
from models.errors import InfrastructureError, NotFoundError
from models.ranking.published import PublishedRanker
from models.tagging.memory.names import normalise_tag
from models.tagging.serving.predictor import Predictor
from search.answer import Answer, Found, Options, Prediction
from search.duplicates import collapse, vectors_in
from search.pages.cursor import Shown, mark, write_cursor
from search.pages.diverse import pick_first
from search.pictures.embed import PictureEmbedder
from search.schemas import TagProbability
from search.served import ServedModels
from search.tag_names import TagNames
from search.words.fit import TagFit
from stream.index.contract import Condition, Hit, VectorIndex
from stream.index.parts import PartSearch
from stream.index.payload import Vector
from stream.pictures.decode_pool import DecodePool

RERANKED = 100  # candidates that evidence or taste may reorder; vectors of 100 cost 20 ms over the network
RESCORED = 40  # candidates of a tag query that get all evidence: a small solve each, some 0.3 ms
MOST_CANDIDATES = 2_000  # asked of the index for one page, however many of them collapse


class Searcher:
    """Answers queries; thread-safe as far as its parts are.

    Attributes:
        embedder: makes vectors of pictures that are not in the index.
    """

    def __init__(
        self, index: VectorIndex, encoder: Encoder, decoder: DecodePool, served: ServedModels,
        parts: PartSearch | None = None,
    ) -> None:  # fmt: skip
        self._index = index
        self._parts = parts
        self._vectors = vectors_in(index)
        self.embedder = PictureEmbedder(encoder, decoder)
        self._served = served

    def vector_of(self, image_id: str) -> Vector:
        """The stored embedding [D].

        Raises:
            NotFoundError: no such image.
        """
        record = self._index.fetch([image_id], with_vectors=True).get(image_id)
        if record is None or record.deleted or record.vector is None:
            raise NotFoundError(f"image {image_id!r}: not in the index; post it first")
        return record.vector

    def by_vector(self, vector: Vector, options: Options, *, without: Collection[str] = ()) -> Answer:
        """The most similar images, those with ids in `without` left out."""
        more = options.rank == "taste" or options.diverse > 0
        wanted = max(options.limit, RERANKED) if more else options.limit
        found = self._candidates(
            vector, wanted, options, more, lambda hits: [h for h in hits if h.image_id not in without]
        )
        answer = self._ordered(found, options, tagger_version=None)
        if self._parts is not None:
            boxes = self._parts.boxes(vector, (item.hit for item in answer.results))
            for item in answer.results:
                item.box = boxes.get(item.hit.image_id)
        return answer

    def by_tag(self, tag: str, options: Options) -> Answer:
        """The images that one tag fits best, as `by_tags`."""
        return self.by_tags([tag], options)

    def by_tags(self, tags: Sequence[str], options: Options) -> Answer:
        """The images that all of these tags fit best: a vector finds them, all evidence orders the best of them.

        Images that carry all of them, by themselves or by implication, come first, unless `options.order` says
        otherwise. The index is asked for them alone, and for others where they do not fill the page.

        Raises:
            NotFoundError: nobody used one of the tags yet.
        """
        predictor, names = self.tagger(), self.names()
        tags = list(dict.fromkeys(map(normalise_tag, tags)))
        fit = TagFit(predictor, tags)
        query = np.sum(fit.directions, axis=0)
        more = options.rank == "taste" or options.diverse > 0
        wanted = max(options.limit, RERANKED if more else RESCORED)
        carried = [names.wanted(tag) if options.order == "carried" else frozenset() for tag in tags]
        carrying: list[Hit] = []  # the best of them
        above: dict[str, bool] = {}

        def carries(hit: Hit) -> list[bool]:
            return [names.carries(hit.image_id, hit.payload.tags, one) for one in carried]

        def rescore(hits: list[Hit]) -> list[Hit]:
            if not hits:
                return []
            vectors = np.stack([hit.vector for hit in hits if hit.vector is not None])
            scores, reach = fit.of(vectors, np.array(list(map(carries, hits)), bool).T)
            above.update((hit.image_id, bool(one)) for hit, one in zip(hits, reach, strict=True))
            rescored = [replace(hit, score=float(score)) for hit, score in zip(hits, scores, strict=True)]
            return sorted(rescored, key=lambda hit: -hit.score)

        def only_carrying(hits: list[Hit]) -> list[Hit]:
            carrying[:] = rescore(hits)
            return carrying

        def carrying_first(hits: list[Hit]) -> list[Hit]:
            return [*carrying, *rescore([hit for hit in hits if not all(carries(hit))])]

        found: list[Found] = []
        if all(carried):
            filtered = replace(options, tags=(*options.tags, *tags))
            found = self._candidates(query, wanted, filtered, True, only_carrying)
        if len(found) < options.limit and len(carrying) < MOST_CANDIDATES:  # there are no more of them
            found = self._candidates(query, wanted, options, True, carrying_first)
        for item in found:
            item.carries = all(carries(item.hit))
            item.above_threshold = above[item.hit.image_id]
        return self._ordered(found, options, tagger_version=predictor.snapshot.version)

    def _candidates(
        self,
        vector: Vector,
        wanted: int,
        options: Options,
        with_vectors: bool,
        prepare: Callable[[list[Hit]], list[Hit]],
    ) -> list[Found]:
        """The first `wanted` of the index after `prepare` and collapsing; asks for more where many collapse."""
        condition = self.condition(options)
        if condition is None:
            return []
        search = self._parts.search if options.objects and self._parts is not None else self._index.search
        least = -math.inf if options.min_score is None else options.min_score
        asked = min(wanted + wanted // 2 + 10 + len(options.shown), MOST_CANDIDATES)
        most = wanted + len(options.shown) if options.min_score is None else MOST_CANDIDATES  # that can be returned
        while True:
            hits = search(vector, asked, condition, with_vectors=with_vectors)
            every = collapse(prepare(hits), options.collapse, most, self._vectors)
            found = [one for one in every if one.hit.score >= least and not _was_shown(one, options.shown)]
            rest_is_less = bool(every) and every[-1].hit.score < least
            if len(found) >= wanted or len(hits) < asked or asked >= MOST_CANDIDATES or rest_is_less:
                return found[:wanted]
            asked = min(asked * 4, MOST_CANDIDATES)

    def condition(self, options: Options) -> Condition | None:
        """What the index is asked for; None where no image can meet it."""
        names = self.names()
        tags = tuple(names.filters(tag) for tag in options.tags)
        without = tuple(one for tag in options.without for one in names.filters(tag))
        return Condition(tags, without, options.ranges, options.terms, options.unsaid) if all(tags) else None

    def predict(self, vector: Vector, limit: int, min_images: int) -> Prediction:
        """The `limit` most probable tags of a vector [D], of those that are on at least `min_images` images.

        Raises:
            InfrastructureError: no tagger was published yet.
        """
        predictor = self.tagger()
        snapshot = predictor.snapshot
        if min_images <= 1:
            found = predictor.predict(vector[None], limit)[0]
        else:
            scores = predictor.probabilities(vector[None])[0]
            served = np.flatnonzero(snapshot.columns.carried >= min_images)
            best = served[np.argsort(-scores[served], kind="stable")[:limit]]
            found = [(snapshot.names[row], float(scores[row])) for row in best]
        thresholds = predictor.catalogue.thresholds([tag for tag, _ in found])
        tags = [
            TagProbability(tag=tag, probability=probability, above_threshold=bool(probability >= least))
            for (tag, probability), least in zip(found, thresholds, strict=True)
        ]
        return Prediction(tags, snapshot.version)

    def rank(self, image_ids: Sequence[str]) -> tuple[int, list[tuple[str, float]]]:
        """The ranker's version, and these images by its score, best first."""
        ranker = self.ranker()
        found = self._index.fetch(list(dict.fromkeys(image_ids)), with_vectors=True)
        known = [(i, record.vector) for i, record in found.items() if record.vector is not None]
        if not known:
            return ranker.version, []
        scores = ranker.score(np.stack([vector for _, vector in known]))
        ranked = sorted(zip((i for i, _ in known), scores.tolist(), strict=True), key=lambda row: (-row[1], row[0]))
        return ranker.version, ranked

    def ranker(self) -> PublishedRanker:
        """The ranker that serves now.

        Raises:
            InfrastructureError: none was published yet.
        """
        served = self._served.ranker
        if served is None:
            raise InfrastructureError("ranker: nothing published yet; is `mekiki work ranking` running?")
        return served.ranker

    def tagger(self) -> Predictor:
        """What predicts tags now.

        Raises:
            InfrastructureError: none was published yet.
        """
        served = self._served.tagger
        if served is None:
            raise InfrastructureError("tagger: nothing published yet; is `mekiki work tags` running?")
        return served.predictor

    def names(self) -> TagNames:
        """What the tags on images mean under the snapshot that serves now."""
        served = self._served.tagger
        return served.names if served is not None else TagNames(None)

    def _ordered(self, found: list[Found], options: Options, *, tagger_version: int | None) -> Answer:
        if options.diverse > 0:
            scores, first = [item.hit.score for item in found], [item.carries for item in found]
            chosen = pick_first(first, scores, _vectors(found), options.limit, options.diverse) if found else []
            found = [found[at] for at in chosen]
        version = None
        if options.rank == "taste":
            ranker = self.ranker()
            version = ranker.version
            if found:
                for item, score in zip(found, ranker.score(_vectors(found)), strict=True):
                    item.rank_score = float(score)
                found = sorted(found, key=lambda item: (not item.carries, -(item.rank_score or 0.0)))
        results = found[: options.limit]
        whole = len(results) == options.limit  # else there is no more
        cursor = write_cursor(options.shown, (item.hit.image_id for item in results)) if whole else None
        return Answer(results, version, tagger_version, cursor)


def _vectors(found: Sequence[Found]) -> npt.NDArray[np.float32]:
    return np.stack([item.hit.vector for item in found if item.hit.vector is not None])


def _was_shown(found: Found, shown: Shown) -> bool:
    return bool(shown) and not shown.isdisjoint(map(mark, (found.hit.image_id, *found.duplicates)))
