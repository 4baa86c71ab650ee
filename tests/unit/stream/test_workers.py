"""What the settings choose for a worker."""

import pytest

from models.errors import ConfigurationError, PolicyError
from models.preprocess import DEFAULT
from stream.build import build_datarefs, build_decoder, build_pictures, open_index
from stream.environment import load_settings
from stream.pictures.sqlite_store import PictureFile
from stream.pictures.store import PictureFolder

CONTENT = b"picture bytes"
NAME = "ab" * 16


@pytest.mark.parametrize("environment", [{}, {"MEKIKI_PICTURES_URL": ""}])
def test_inline_pictures_are_kept_in_one_file_where_no_other_place_is_named(tmp_path, environment):
    settings = load_settings({"MEKIKI_DATA_DIR": str(tmp_path), **environment})
    pictures = build_pictures(settings)
    assert isinstance(pictures, PictureFile)
    pictures.put(CONTENT, NAME)
    pictures.flush()
    assert (tmp_path / "pictures.sqlite").exists()


def test_inline_pictures_are_kept_where_the_settings_say(tmp_path):
    settings = load_settings({"MEKIKI_DATA_DIR": str(tmp_path), "MEKIKI_PICTURES_URL": (tmp_path / "there").as_uri()})
    pictures = build_pictures(settings)
    assert isinstance(pictures, PictureFolder)
    pictures.put(CONTENT, NAME)
    assert [path.read_bytes() for path in (tmp_path / "there").rglob("*") if path.is_file()] == [CONTENT]
    assert not (tmp_path / "pictures.sqlite").exists()


def test_an_upload_may_be_read_where_no_other_folder_is_named_and_is_ours_to_delete(tmp_path):
    settings = load_settings({"MEKIKI_DATA_DIR": str(tmp_path / "data")})
    upload, beside = settings.data_path / "uploads" / "picture.png", tmp_path / "picture.png"
    upload.parent.mkdir(parents=True)
    for file in (upload, beside):
        file.write_bytes(CONTENT)
    datarefs = build_datarefs(settings)
    assert datarefs.read(upload.as_uri()) == CONTENT
    with pytest.raises(PolicyError, match="DATAREF_ROOTS"):
        datarefs.read(beside.as_uri())
    datarefs.forget(upload.as_uri())
    datarefs.forget(beside.as_uri())
    assert (upload.exists(), beside.exists()) == (False, True)


def test_the_limits_of_the_settings_are_the_decoders():
    settings = load_settings({"MEKIKI_INGEST__MAX_IMAGE_BYTES": "1000"})
    with build_decoder(settings, DEFAULT) as pool:
        (answer,) = pool.decode_many([bytes(1_001)])
    assert isinstance(answer, PolicyError)
    assert answer.reason == "too_large"


def test_without_an_index_the_sentence_names_the_variable():
    with pytest.raises(ConfigurationError, match="MEKIKI_QDRANT__URL: not set"):
        open_index(load_settings({}))
