"""Builds the parts of a search API from the settings and starts following the published models."""

import functools

from models.tagging.evidence.backend import load_backend
from search.access.keys import Keys
from search.pictures.outcomes import Outcomes
from search.pictures.thumbnails import Thumbnails
from search.query import Searcher
from search.served import ServedModels
from search.service import SOURCE, Service
from search.stalled import StallWatch
from stream.build import build_datarefs, build_decoder, build_encoder, build_pictures, open_index, open_objects
from stream.index.parts import PartSearch
from stream.log.model_versions import ModelFollower
from stream.log.produce import LogWriter
from stream.log.unreadable.unread import find_unread, look_at
from stream.settings import Settings

BLOCK_MS = 2_000  # a request waits no longer for a broker that is away


def build_service(settings: Settings) -> Service:
    """A service ready to answer.

    Raises:
        ConfigurationError: the settings name no broker or index, or an index of another encoder.
        InfrastructureError: one of them does not answer.
    """
    index = open_index(settings)
    encoder = build_encoder(settings)
    objects = open_objects(settings)
    for part in (index, objects):
        part.open(encoder.version, encoder.dimension)
    served = ServedModels(load_backend(settings.tagging.backend))
    follower = ModelFollower(settings, served.take)
    follower.start()
    watch = StallWatch(functools.partial(find_unread, settings), functools.partial(look_at, settings))
    watch.start()
    decoder = build_decoder(settings, encoder.preprocessing)
    return Service(
        settings=settings,
        index=index,
        objects=objects,
        searcher=Searcher(index, encoder, decoder, served, PartSearch(index, objects)),
        served=served,
        follower=follower,
        watch=watch,
        writer=LogWriter(settings, SOURCE, linger_ms=0, block_ms=BLOCK_MS),
        pictures=build_pictures(settings),
        datarefs=build_datarefs(settings),
        encoder_version=encoder.version,
        keys=Keys(settings.serve),
        outcomes=Outcomes(settings, index),
        thumbnails=Thumbnails(decoder),
    )
