"""The network: its padding, its five parts, its weights, and batch norms folded away."""

import cv2
import numpy as np
import torch

from admin.openmoji import load_pictures, rasterise
from models.encoders.base import Images
from models.encoders.efficientnet.network import EfficientNetLite, fold_batch_norms, load_network, same_padding
from models.encoders.efficientnet.outputs import HEAD_CHANNELS


def test_padding_is_tensorflows() -> None:
    assert same_padding(224, 3, 2) == (0, 1)
    assert same_padding(56, 5, 2) == (1, 2)
    assert same_padding(7, 3, 1) == (1, 1)
    assert same_padding(7, 1, 1) == (0, 0)


def test_features_are_means_and_deviations_of_the_named_blocks(images: Images) -> None:
    network = load_network()
    seen: dict[int, torch.Tensor] = {}
    for number, block in enumerate(network.blocks):
        block.register_forward_hook(lambda _, __, output, number=number: seen.update({number: output}))
    with torch.inference_mode():
        features, feature_map = network(torch.from_numpy(images[:2]))
    expected = [feature_map.mean(dim=(2, 3))]
    for number in (4, 10, 14, 15):
        flat = seen[number].flatten(2)
        expected += [flat.mean(dim=2), flat.std(dim=2, correction=0)]
    assert torch.allclose(features, torch.cat(expected, dim=1), atol=1e-4)


def test_folded_and_plain_network_agree(images: Images) -> None:
    with torch.inference_mode():
        plain = load_network()(torch.from_numpy(images[:2])).features
        folded = fold_batch_norms(load_network())(torch.from_numpy(images[:2])).features
    assert np.abs((plain - folded).numpy()).max() < 1e-3


def test_the_weights_file_names_every_parameter() -> None:
    expected = {name for name in EfficientNetLite().state_dict() if not name.endswith("num_batches_tracked")}
    assert len(expected) == 49 * 5 + 2  # 49 convolutions, each with four numbers per channel of its norm; the classes


def test_the_weights_see_clocks() -> None:
    clocks = [picture for picture in load_pictures() if "o'clock" in picture.name]
    files = [np.frombuffer(rasterise(picture), np.uint8) for picture in clocks]
    pixels = np.stack([np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR_RGB), np.uint8) for file in files])
    network = load_network()
    with torch.inference_mode():
        classes = network.fc(network(torch.from_numpy(pixels)).features[:, :HEAD_CHANNELS]).argmax(dim=1).numpy()
    assert len(clocks) > 10
    assert np.isin(classes, [409, 892, 826]).mean() > 0.8  # analog clock, wall clock, stopwatch
