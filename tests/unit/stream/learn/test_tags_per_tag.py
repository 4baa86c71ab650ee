"""The tags worker with a classifier of one's own: opened from settings, checkpointed, opened again, served."""

import numpy as np
import pytest
from river.linear_model import PAClassifier

from models.errors import CheckpointError, ConfigurationError
from models.quantise import dequantise, quantise
from models.tagging.examples import Example
from models.tagging.state import digest
from search.served import ServedModels
from stream.environment import load_settings
from stream.learn.tags import TagsParts, TagsWorker, open_tagger
from stream.log.model_versions import ModelPublisher
from tests.fakes import FakeWriter
from tests.unit.stream.learn.test_tags import MemoryExamples, record

PA = "river.linear_model.PAClassifier"
DIMENSION = 512
_points = np.random.default_rng(0).standard_normal((40, DIMENSION)).astype(np.float32)
CODES = quantise(_points / np.linalg.norm(_points, axis=1, keepdims=True))
EXAMPLES = [Example(f"i{n}", CODES[n], ("cat",) if n % 3 else ("dog",)) for n in range(40)]
WAIT_S = 30.0


def settings_for(tmp_path, classifier=PA):
    return load_settings({"MEKIKI_TAGGING__CLASSIFIER": classifier}, data_dir=tmp_path)


def learn(settings, stop):
    """One life of the worker: open, learn up to `stop`, checkpoint, close; its last announcement and its state."""
    state, writer = open_tagger(settings), FakeWriter()
    start = state.offsets[0].offset if state.offsets else 0
    reader = MemoryExamples([record(offset, EXAMPLES[offset]) for offset in range(start, stop)])
    publisher = ModelPublisher(settings, "tagger", writer)
    worker = TagsWorker(TagsParts(reader, writer, state, publisher, settings))
    worker.stop()
    worker.run(drain=True)
    learned = digest(state.tagger)
    state.close()
    return writer.events[-1], learned


def test_two_lives_of_the_worker_teach_what_river_learns_by_hand(tmp_path):
    settings = settings_for(tmp_path / "two lives")
    learn(settings, 25)
    event, learned = learn(settings, 40)
    assert learned == learn(settings_for(tmp_path / "one"), 40)[1]
    served = ServedModels()
    served.take(event)
    assert served.replayer.wait(WAIT_S)
    models = {}
    for example in EXAMPLES:
        models.setdefault(example.added[0], PAClassifier())
        for tag, model in models.items():
            model.learn_one(dict(enumerate(dequantise(example.vector).tolist())), tag in example.added)
    vector = dequantise(CODES[7])
    told = dict(served.tagger.predict(vector[None])[0])
    x = dict(enumerate(vector.tolist()))
    assert told == {tag: model.predict_proba_one(x)[True] for tag, model in models.items()}


def test_a_state_learned_with_another_classifier_is_refused(tmp_path):
    learn(settings_for(tmp_path), 10)
    for other in ("river.linear_model.LogisticRegression", "river.naive_bayes.GaussianNB"):
        with pytest.raises(CheckpointError, match="setting classifier"):
            open_tagger(settings_for(tmp_path, other))


def test_a_setting_that_names_no_classifier_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigurationError, match="expected the import path of a river classifier") as refused:
        open_tagger(settings_for(tmp_path, "river.linear_model.Lasso"))
    assert refused.value.exit_code == 78
