"""On real pictures: the shipped projection can be fitted again, the weights see what is there, taste can be learned."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from admin.openmoji import Picture, load_pictures, rasterise
from models.encoders.base import Images, Vectors
from models.encoders.efficientnet.network import load_network
from models.encoders.efficientnet.outputs import HEAD_CHANNELS, LITE0
from models.encoders.load import load_extractor
from models.encoders.projection import Projection, fit_projection
from models.encoders.raw_features import pack, unpack
from models.encoders.registry.folders import DEFAULT, SHIPPED, EncoderFolders
from models.ranking.ranknet import Ranker

# The rotation starts from signs and amplifies the last bit of a feature, so another CPU finds another rotation; what
# the vectors mean, the cosines between pictures, stays. Features off by 1e-4 of their value move a cosine by 4e-4.
COSINE_TOLERANCE = 2e-3
pytestmark = pytest.mark.long  # features of 1,910 pictures take half a minute
LIKES = {"animal": 1.0, "food": 0.8, "nature": 0.5, "plant": 0.4, "flag": -0.6, "face": -0.3}


@dataclass
class World:
    """All pictures: raw features, shipped vectors, and how warm their colours are."""

    pictures: tuple[Picture, ...]
    features: Vectors
    vectors: Vectors
    warmth: NDArray[np.float64]


def decoded(picture: Picture) -> Images:
    image = cv2.imdecode(np.frombuffer(rasterise(picture), np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, np.uint8)


def warmth(image: Images) -> float:
    """Red minus blue, on average over what is not white."""
    colours = image[::4, ::4].reshape(-1, 3) / 255
    drawn = colours[colours.min(axis=1) < 0.94]
    colours = drawn if len(drawn) > 50 else colours
    return float((colours[:, 0] - colours[:, 2]).mean())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    pictures = load_pictures()
    extractor = load_extractor(
        EncoderFolders().manifest(DEFAULT), backend="onnx", cache_dir=tmp_path_factory.mktemp("cache")
    )
    features, warm = [], []
    for start in range(0, len(pictures), 64):
        images = [decoded(picture) for picture in pictures[start : start + 64]]
        warm += [warmth(image) for image in images]
        features.append(extractor.extract(np.stack(images)))
    raw = unpack(pack(np.concatenate(features), LITE0.parts), LITE0.parts)
    yield World(pictures, raw, Projection.load(SHIPPED, raw.shape[1]).apply(raw), np.array(warm))


def test_fitting_again_gives_the_shipped_projection(world: World) -> None:
    fitted = fit_projection(world.features, LITE0.parts).apply(world.features)
    difference = world.vectors @ world.vectors.T - fitted @ fitted.T
    assert np.abs(difference).max() < COSINE_TOLERANCE


def test_signs_are_a_good_code(world: World) -> None:
    cosines = world.vectors @ world.vectors.T
    signs = np.where(world.vectors >= 0, 1.0, -1.0)
    shared_bits = signs @ signs.T
    np.fill_diagonal(cosines, -2)
    np.fill_diagonal(shared_bits, -1_000)
    nearest, by_bits = np.argsort(-cosines)[:, :10], np.argsort(-shared_bits)[:, :40]
    found = np.mean([np.isin(ten, forty).mean() for ten, forty in zip(nearest, by_bits, strict=True)])
    assert found > 0.96


def test_the_weights_see_clocks_and_flags(world: World) -> None:
    with torch.inference_mode():
        classes = load_network().fc(torch.from_numpy(world.features[:, :HEAD_CHANNELS])).argmax(dim=1).numpy()
    named = {"clock": [], "flag": []}
    for picture, number in zip(world.pictures, classes, strict=True):
        if "o'clock" in picture.name:
            named["clock"].append(number)
        elif picture.name.startswith("flag "):
            named["flag"].append(number)
    assert np.isin(named["clock"], [409, 892, 826]).mean() > 0.8  # analog clock, wall clock, stopwatch
    assert np.mean(np.array(named["flag"]) == 549) > 0.2  # envelope: a flat rectangle with a pattern


def test_neighbours_share_keywords_far_more_than_chance(world: World) -> None:
    cosines = world.vectors @ world.vectors.T
    np.fill_diagonal(cosines, -2)
    tags = [set(picture.tags) for picture in world.pictures]
    nearest = [bool(tags[i] & tags[j]) for i, j in enumerate(cosines.argmax(axis=1))]
    chance = [bool(tags[i] & tags[i - 1]) for i in range(len(tags))]
    assert np.mean(nearest) > 0.6 > 3 * np.mean(chance)


def test_a_taste_for_keywords_and_colours_is_learned_from_noisy_clicks(world: World) -> None:
    likes = np.array([sum(LIKES.get(tag, 0) for tag in picture.tags) for picture in world.pictures])
    taste = likes + 0.5 * (world.warmth - world.warmth.mean()) / world.warmth.std()
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(len(taste))
    seen, unseen = shuffled[: len(taste) * 4 // 5], shuffled[len(taste) * 4 // 5 :]
    one, other = rng.choice(seen, 3_000), rng.choice(seen, 3_000)
    likes_one = np.where(rng.random(3_000) < 0.1, rng.random(3_000) < 0.5, taste[one] > taste[other])
    preferred, over = np.where(likes_one, one, other), np.where(likes_one, other, one)
    first, second = rng.choice(unseen, 6_000), rng.choice(unseen, 6_000)
    differ = taste[first] != taste[second]

    ranker, accuracies, learned = Ranker(512, seed=1), [], 0
    for pairs in (300, 750, 3_000):
        ranker.learn_many(world.vectors[preferred[learned:pairs]], world.vectors[over[learned:pairs]])
        scores, learned = ranker.published().score(world.vectors), pairs
        right = (scores[first] > scores[second]) == (taste[first] > taste[second])
        accuracies.append(float(right[differ].mean()))
    print("unseen pictures, pair accuracy after 300, 750, 3,000 pairs:", [round(value, 3) for value in accuracies])
    assert accuracies[0] > 0.68 and accuracies[1] > 0.72 and accuracies[2] > 0.77
