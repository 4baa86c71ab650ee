"""`mekiki encoder fit` on an operator's own folder."""

from pathlib import Path

import cv2
import numpy as np
from typer.testing import CliRunner

from admin.operators.encoder import app
from models.encoders import load_encoder
from models.errors import UsageError


def test_fits_a_folder_and_the_encoder_takes_the_file(tmp_path: Path) -> None:
    folder, out, cache = tmp_path / "pictures", tmp_path / "own" / "mine.safetensors", tmp_path / "cache"
    (folder / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(12):
        image = cv2.GaussianBlur(rng.integers(0, 255, (90, 120, 3), np.uint8), (0, 0), 1 + number)
        cv2.imwrite(str(folder / ("deep" if number % 2 else "") / f"{number}.png"), image)
    (folder / "notes.txt").write_text("no picture")
    (folder / "empty.jpg").write_bytes(b"")
    arguments = ["fit", "--pictures", str(folder), "--out", str(out), "--dimension", "8", "--cache-dir", str(cache)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    encoder = load_encoder("onnx", out, cache_dir=cache)
    assert encoder.dimension == 8 and encoder.version in result.stderr
    assert encoder.version != load_encoder("onnx", cache_dir=cache).version


def test_a_folder_without_pictures_is_an_error_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    result = CliRunner().invoke(app, ["fit", "--pictures", str(tmp_path), "--cache-dir", str(tmp_path / "cache")])
    assert isinstance(result.exception, UsageError)
