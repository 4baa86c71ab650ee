"""Any of the networks from its kind and arguments, as a manifest names them.

In: a kind and plain arguments. Out: the network that is served, with random weights or those of ImageNet, to be filled
from a file. Raises ConfigurationError for a kind or arguments that are not ours.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from models.encoders.efficientnet.network import EfficientNetLite
from models.encoders.networks.autoencoder import PictureEncoder
from models.encoders.networks.body import FEATURES, FrozenBlocks, HeadedBody, LastBlocks, WholeBody
from models.encoders.networks.heads import Probabilities, ScoreHead, TagHead
from models.encoders.networks.small_cnn import SmallCnn
from models.errors import ConfigurationError, UsageError

AUTOENCODER, TAGS, TASTE, SMALL_CNN = "autoencoder", "tags", "taste", "small-cnn"


def build_network(kind: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The network of that kind in inference mode; pictures uint8 [B, S, S, 3] -> features [B, F], maybe more.

    Raises:
        ConfigurationError: no kind of ours, or arguments that it does not take.
    """
    builders: dict[str, Callable[..., nn.Module]] = {
        AUTOENCODER: PictureEncoder,
        TAGS: _tags,
        TASTE: _taste,
        SMALL_CNN: SmallCnn,
    }
    try:
        network = builders[kind](**arguments)
    except (KeyError, TypeError, UsageError) as error:
        raise ConfigurationError(
            f"network {kind!r} of {dict(arguments)}: expected one of {', '.join(builders)} with its arguments; "
            "train it again"
        ) from error
    return network.eval().requires_grad_(False)


def _tags(tags: int) -> nn.Module:
    body = EfficientNetLite()
    return Probabilities(WholeBody(FrozenBlocks(body), HeadedBody(LastBlocks(body), TagHead(FEATURES, tags))))


def _taste() -> nn.Module:
    body = EfficientNetLite()
    return WholeBody(FrozenBlocks(body), HeadedBody(LastBlocks(body), ScoreHead(FEATURES)))
