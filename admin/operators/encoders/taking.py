"""Takes an ONNX network and what its owner says of it, once it was run.

In: a graph and a manifest. Out: an encoder's folder. Raises ConfigurationError for a graph or a manifest that is wrong,
UsageError for a name that is taken.
"""

from pathlib import Path

from models.encoders.registry.compose import composed, read_graph
from models.encoders.registry.folders import EncoderFolders
from models.encoders.registry.manifest import Manifest, Output, read_manifest
from models.encoders.registry.trial import Trial, run_trial
from models.encoders.sessions.onnx_extractor import OnnxExtractor
from models.errors import ConfigurationError

GRAPH = "network.onnx"


def take_network(
    folders: EncoderFolders, graph: Path, manifest_path: Path, threads: int | None
) -> tuple[Manifest, Trial]:
    """The new encoder, and what was seen when it ran.

    Raises:
        ConfigurationError: see the module.
        UsageError: see the module.
        StorageUnavailableError: there is no room for it.
    """
    try:
        text = manifest_path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"manifest {manifest_path}: expected a readable JSON file ({error})") from None
    given = read_manifest(text, f"manifest {manifest_path}")
    folders.check_free(given.name)
    extractor = OnnxExtractor(composed(read_graph(graph), given.input, given.outputs), threads=threads)
    trial = run_trial(extractor, given.input.size_px)
    if given.parts and sum(given.parts) != trial.features:
        raise ConfigurationError(
            f"manifest {manifest_path}: parts {list(given.parts)}: expected {trial.features} together, which the "
            "network gives; correct or leave them out"
        )
    parts = given.parts or _parts(given.outputs, trial.features)
    taken = given.model_copy(update={"network": GRAPH, "parts": parts, "projection": None, "files": {}, "torch": None})
    checked = read_manifest(taken.to_json(), f"manifest {manifest_path}")
    return folders.install(checked, {GRAPH: graph}), trial


def _parts(outputs: tuple[Output, ...], features: int) -> tuple[int, ...]:
    """Even parts where every way of pooling gives as many numbers; else one part of all."""
    count = sum(max(1, len(output.pool)) for output in outputs) or 1
    return (features // count,) * count if features % count == 0 else (features,)
