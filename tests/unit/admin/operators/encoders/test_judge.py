"""Which encoder is recommended."""

from admin.operators.encoders.judge import recommended, trained_here
from models.encoders.registry.folders import EncoderFolders
from models.encoders.registry.manifest import Manifest
from models.judging.table import Row


def row(name, mean, deviation=0.01, speed=50.0, layer="vector"):
    return Row(name, layer, 8, *[0.5] * 6, 16, 4.0, map=mean, map_std=deviation, images_per_second=speed)


def test_of_encoders_as_good_as_the_best_the_fastest_is_recommended():
    rows = [row("large", 0.50, speed=10), row("small", 0.495, speed=60), row("worse", 0.48, speed=90)]
    assert recommended([*rows, row("small", 0.9, speed=99, layer="features")]) == "small"


def test_one_that_was_trained_is_recommended_where_it_is_better_and_not_where_it_is_as_good():
    frozen = row("frozen", 0.50, speed=50)
    assert recommended([frozen, row("tags", 0.508, speed=60)], {"tags"}) == "frozen"
    assert recommended([frozen, row("tags", 0.52, speed=40)], {"tags"}) == "tags"


def test_who_was_trained_here_stands_in_the_manifest(tmp_path):
    folders = EncoderFolders(tmp_path)
    graph = tmp_path / "network.onnx"
    graph.write_bytes(b"graph")
    for name, made_from in (("tags", {"kind": "tags"}), ("fitted", {"fitted_of": "efficientnet-lite0"})):
        folders.install(
            Manifest(name=name, network="network.onnx", parts=(8,), made_from=made_from), {"network.onnx": graph}
        )
    assert trained_here(folders, ["efficientnet-lite0", "tags", "fitted"]) == {"tags"}
