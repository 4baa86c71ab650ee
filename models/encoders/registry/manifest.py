"""What an encoder is, as JSON: network, preprocessing, outputs and how they are pooled, projection, and its files.

In: JSON of a file. Out: `Manifest`. Raises ConfigurationError with the first thing that is wrong.
"""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from models.encoders.raw_features import MOST_BYTES, raw_bytes
from models.errors import ConfigurationError
from models.preprocess import PIXELS, Cut, Fit, Preprocessing

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Numbers = Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(min_length=1, max_length=3)]
Pool = Literal["mean", "deviation", "max", "first"]

PROJECTION = "projection.safetensors"
VERSION_LENGTH = 16  # hex digits, 64 bits: short enough to read, long enough never to collide by chance


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(_Part):
    """How pictures come to the network.

    Attributes:
        size_px: side of the square.
        fit: see models.preprocess.Preprocessing; `trim_margins` and `cut` too.
        name: of the graph's input; empty: its only one.
        layout: "nchw" or "nhwc".
        mean: subtracted from pixels of 0 to 255, one number or one a channel.
        deviation: that the difference is divided by.
        gray: whether the network takes one channel, the brightness (ITU-R BT.601).
        bgr: whether the network takes blue first.
    """

    size_px: int = Field(224, ge=8, le=1024)
    fit: Fit = "squash"
    trim_margins: bool = False
    cut: Cut = ""
    name: str = ""
    layout: Literal["nchw", "nhwc"] = "nchw"
    mean: Numbers = (0.0,)
    deviation: Annotated[Numbers, Field(description="none of them 0")] = (255.0,)
    gray: bool = False
    bgr: bool = False

    @model_validator(mode="after")
    def _can_be_divided(self) -> Self:
        if 0 in self.deviation:
            raise ValueError("deviation: expected no 0")
        if self.gray and (len(self.mean) > 1 or len(self.deviation) > 1):
            raise ValueError("mean and deviation: expected one number each for a gray network")
        return self


class Output(_Part):
    """One output of the graph, and what is made of it.

    Attributes:
        name: of the output, or of any value inside the graph; empty: its only output.
        kind: "vector" [1, F], "map" [1, C, H, W], "tokens" [1, T, C].
        pool: of a map over space or of tokens, in this order: each gives C numbers; "first" is the first token (CLS).
        skip: tokens at the start that are no place in the picture, left out of mean, deviation and max.
    """

    name: str = ""
    kind: Literal["vector", "map", "tokens"] = "vector"
    pool: tuple[Pool, ...] = ()
    skip: int = Field(1, ge=0, le=64)

    @model_validator(mode="after")
    def _is_pooled(self) -> Self:
        if (self.kind == "vector") == bool(self.pool):
            raise ValueError(f"pool of a {self.kind}: expected {'nothing' if self.pool else 'one way at least'}")
        if self.kind == "map" and "first" in self.pool:
            raise ValueError("pool: expected no 'first' of a map, which has no first token")
        return self


class TorchTwin(_Part):
    """The same network for torch, which runs it where there is a GPU: see models.encoders.networks."""

    network: str
    arguments: dict[str, int | float | str | bool] = Field(default_factory=dict)
    weights: FileName


class Manifest(_Part):
    """See the module.

    Attributes:
        name: of the encoder.
        about: one line for people.
        licence: of the weights.
        network: a built-in one, or the file of an ONNX graph.
        input: how pictures come to it; a built-in network's own where it is not given.
        outputs: what is read off it; a built-in network's own where there are none.
        parts: numbers in each part of the raw features; found out when it is imported.
        projection: file of the projection; none: features that are only centred and scaled to length 1.
        files: sha256 of each file, by name.
        made_from: how it was made: pictures, seed, losses, log position.
    """

    format: Literal[1] = 1
    name: Name
    about: str = Field("", max_length=300)
    licence: str = Field("", max_length=300)
    network: str = Field(min_length=1, max_length=100)
    input: Input = Input()
    outputs: tuple[Output, ...] = ()
    torch: TorchTwin | None = None
    parts: tuple[Annotated[int, Field(ge=1)], ...] = ()
    projection: FileName | None = None
    files: dict[FileName, Sha256] = Field(default_factory=dict)
    made_from: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if raw_bytes(self.parts) > MOST_BYTES:
            raise ValueError(
                f"outputs of {sum(self.parts)} numbers: expected at most {MOST_BYTES} bytes; pool fewer of them"
            )
        return self

    @property
    def preprocessing(self) -> Preprocessing:
        """What the decoder does."""
        return Preprocessing(self.input.size_px, self.input.fit, self.input.trim_margins, self.input.cut)

    @property
    def network_version(self) -> str:
        """16 hex digits of all that raw features depend on but the device: same version, same features."""
        given = self.model_dump(include={"network", "input", "outputs", "parts", "torch"})
        if not self.input.cut:
            del given["input"]["cut"]  # encoders of before there was one keep their versions
        files = {name: digest for name, digest in self.files.items() if name != self.projection}
        return _digest([PIXELS, given, files])

    @property
    def version(self) -> str:
        """16 hex digits of all that vectors depend on: the network and the projection."""
        return _digest([self.network_version, self.files.get(self.projection or "", "")])

    def to_json(self) -> str:
        """As it is kept in a file."""
        return json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:VERSION_LENGTH]


def read_manifest(text: str, where: str) -> Manifest:
    """The manifest of a file's text.

    Raises:
        ConfigurationError: not JSON, or a field breaks its rule.
    """
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise ConfigurationError(
            f"{where}: {field}: {first['msg'].removeprefix('Value error, ')}; correct it"
        ) from None
