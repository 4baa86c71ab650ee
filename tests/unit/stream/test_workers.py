"""What the settings choose for a worker."""

import hashlib

import pytest

from stream.environment import load_settings
from stream.pictures.sqlite_store import PictureFile
from stream.pictures.store import PictureFolder
from stream.workers import build_pictures

CONTENT = b"picture bytes"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("environment", [{}, {"MEKIKI_PICTURES_URL": ""}])
def test_inline_pictures_are_kept_in_one_file_where_no_other_place_is_named(tmp_path, environment):
    settings = load_settings({"MEKIKI_DATA_DIR": str(tmp_path), **environment})
    pictures = build_pictures(settings)
    assert isinstance(pictures, PictureFile)
    pictures.put(CONTENT, SHA256)
    pictures.flush()
    assert (tmp_path / "pictures.sqlite").exists()


def test_inline_pictures_are_kept_where_the_settings_say(tmp_path):
    settings = load_settings({"MEKIKI_DATA_DIR": str(tmp_path), "MEKIKI_PICTURES_URL": (tmp_path / "there").as_uri()})
    pictures = build_pictures(settings)
    assert isinstance(pictures, PictureFolder)
    pictures.put(CONTENT, SHA256)
    assert [path.read_bytes() for path in (tmp_path / "there").rglob("*") if path.is_file()] == [CONTENT]
    assert not (tmp_path / "pictures.sqlite").exists()
