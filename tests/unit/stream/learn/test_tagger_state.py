"""The tagger's state under the data directory: what it is opened with."""

import pytest

from models.errors import CheckpointError, ConfigurationError
from stream.environment import load_settings
from stream.learn.tagger_state import open_tagger

CLASSIFIER = "MEKIKI_TAGGING__CLASSIFIER"


def opened(tmp_path, classifier):
    return open_tagger(load_settings({CLASSIFIER: classifier}, data_dir=tmp_path))


def test_a_classifier_that_cannot_be_served_is_refused_before_anything_is_opened(tmp_path):
    with pytest.raises(ConfigurationError, match="LogisticRegression, Perceptron and PAClassifier work") as refused:
        opened(tmp_path, "river.naive_bayes.GaussianNB")
    assert refused.value.exit_code == 78
    assert not (tmp_path / "tagger.sqlite").exists()


def test_a_state_goes_on_only_with_the_classifier_it_was_learned_with(tmp_path):
    state = opened(tmp_path, "river.linear_model.PAClassifier")
    state.checkpoint()
    state.close()
    with pytest.raises(CheckpointError, match="change it back"):
        opened(tmp_path, "river.linear_model.Perceptron")
    opened(tmp_path, "river.linear_model.PAClassifier").close()
