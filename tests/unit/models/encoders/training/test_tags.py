"""Tags: learned, frozen half included in what is served, and what cannot be learned is refused."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from models.encoders.efficientnet.network import load_network
from models.encoders.networks.body import FrozenBlocks, LastBlocks
from models.encoders.networks.build import build_network
from models.encoders.networks.heads import TagHead
from models.encoders.networks.losses import asymmetric_loss, tag_loss
from models.encoders.training.body import Body, check_room
from models.encoders.training.export import GRAPH, write_files
from models.encoders.training.loop import Recipe
from models.encoders.training.tags import TagOptions, train_tags
from models.errors import StorageUnavailableError, UsageError
from tests.unit.models.encoders.training.shapes import Shapes, silent

OPTIONS = TagOptions(
    recipe=Recipe(epochs=4, batch=16, weight_decay=0.0), body=Recipe(epochs=1, batch=16), device="cpu", threads=1
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    source = Shapes(48)
    return train_tags(source, source.tags, tmp_path_factory.mktemp("tags") / "run", OPTIONS, silent)


def test_the_two_halves_are_the_whole_network():
    images = np.stack(list(Shapes(4).load(Shapes(4).ids)))
    network = load_network()
    with torch.no_grad():
        expected = network(torch.from_numpy(images)).features
        found = LastBlocks(network)(*FrozenBlocks(network)(torch.from_numpy(images)))
    assert torch.allclose(found, expected, atol=1e-4)


def test_kept_maps_give_the_features_of_the_network(tmp_path: Path):
    images = np.stack(list(Shapes(3).load(Shapes(3).ids)))
    body = Body(tmp_path / "run", torch.device("cpu"), threads=1)
    taps, maps = body.compute(images)
    with torch.no_grad():
        expected = load_network()(torch.from_numpy(images)).features.numpy()
        kept = torch.from_numpy(maps).float().permute(0, 3, 1, 2)
        found = body.last(torch.from_numpy(taps), kept).numpy()
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.9999


def test_colours_and_shapes_are_learned(done):
    assert set(done.tags) == {"red", "green", "blue", "circle", "square"}
    assert done.courses["frozen"].held_out[-1] < done.courses["frozen"].start
    assert max(done.map.values()) > 0.8
    better = "finetuned" if done.map["finetuned"] >= done.map["frozen"] else "frozen"
    assert done.network is done.candidates[better]
    assert done.trained.training["kept"] == better


def test_what_is_served_says_probabilities_and_features(done, tmp_path: Path):
    write_files(done.network, done.trained, tmp_path / "out", {"tags.json": list(done.tags)})
    images = Shapes(1).load(Shapes(1).ids)[0][None]
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / GRAPH), providers=["CPUExecutionProvider"])
    features, probabilities = session.run(["features", "tags"], {"images": images})
    assert features.shape == (1, 512)
    again = build_network("tags", done.trained.arguments)
    again.load_state_dict(done.network.state_dict())
    with torch.no_grad():
        expected = again(torch.from_numpy(images))[1].numpy()
    assert np.allclose(probabilities, expected, atol=1e-3)
    assert ((probabilities > 0) & (probabilities < 1)).all()


def test_too_few_tags_are_refused(tmp_path: Path):
    source = Shapes(40)
    tags = dict.fromkeys(source.ids, ("all",)) | {source.ids[0]: ("all", "rare")}
    with pytest.raises(UsageError, match="tags 1: expected two or more that 3 training pictures carry each"):
        train_tags(source, tags, tmp_path / "run", OPTIONS, silent)


def test_pictures_that_nobody_tagged_are_left_out(tmp_path: Path):
    source = Shapes(40)
    tags = {name: source.tags[name] for name in source.ids[:10]}
    with pytest.raises(UsageError, match="pictures 10: expected 20 or more"):
        train_tags(source, tags, tmp_path / "run", OPTIONS, silent)


def test_room_is_asked_for_before_the_work(tmp_path: Path):
    with pytest.raises(StorageUnavailableError, match="MB of room for 1000000000000 pictures"):
        check_room(tmp_path / "not" / "there", 10**12)


def test_cross_entropy_is_summed_over_tags_and_averaged_over_pictures():
    log_odds, truth = torch.tensor([[0.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    expected = (3 * np.log(2) + np.log(1 + np.exp(2))) / 2
    assert float(tag_loss(log_odds, truth)) == pytest.approx(expected)


def test_the_asymmetric_loss_forgets_easy_negatives_and_keeps_positives():
    easy, hard = torch.tensor([[-3.5]]), torch.tensor([[3.0]])
    absent, present = torch.zeros(1, 1), torch.ones(1, 1)
    assert float(asymmetric_loss(easy, absent)) == 0
    p = 1 / (1 + np.exp(-3.0)) - 0.05
    assert float(asymmetric_loss(hard, absent)) == pytest.approx(-(p**4) * np.log(1 - p), rel=1e-4)
    assert float(asymmetric_loss(easy, present)) == pytest.approx(float(tag_loss(easy, present)), rel=1e-5)


def test_a_head_begins_at_the_share_of_each_tag():
    head = TagHead(8, 2).eval()
    head.begin_at(torch.tensor([0.5, 0.01]))
    with torch.no_grad():
        _, log_odds = head(torch.randn(16, 8))
    assert torch.allclose(torch.sigmoid(log_odds).mean(0), torch.tensor([0.5, 0.01]), atol=0.05)
