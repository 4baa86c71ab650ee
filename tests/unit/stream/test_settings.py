"""Settings: what the environment says, checked; nothing unknown is passed over in silence."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from pydantic import BaseModel

import stream.metrics  # noqa: F401 - registers them
from models.errors import ConfigurationError
from stream.environment import as_environment, known_variables, load_settings, masked
from stream.settings import Settings

VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


def refused(name, value) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({name: value})
    return str(caught.value)


def test_the_defaults_run_embedded():
    settings = load_settings({})
    assert settings.kafka.bootstrap_servers is None
    assert settings.qdrant.url is None
    assert settings.topic("images") == "mekiki.images.v1"


def test_reads_nested_variables_in_any_case():
    settings = load_settings({"MEKIKI_KAFKA__PARTITIONS": "7", "mekiki_serve__port": "0", "MEKIKI_DATA_DIR": "~/m"})
    assert (settings.kafka.partitions, settings.serve.port) == (7, 0)
    assert settings.data_path == Path.home() / "m"


def test_reads_a_whole_section_as_json():
    assert load_settings({"MEKIKI_KAFKA": '{"partitions": 3}'}).kafka.partitions == 3


def test_what_is_handed_in_goes_before_the_environment_field_by_field():
    environment = {"MEKIKI_KAFKA__PARTITIONS": "7", "MEKIKI_KAFKA__TOPIC_PREFIX": "shop", "MEKIKI_LOG_LEVEL": "DEBUG"}
    settings = load_settings(environment, kafka={"partitions": 2}, log_level="ERROR")
    assert (settings.kafka.partitions, settings.kafka.topic_prefix, settings.log_level) == (2, "shop", "ERROR")


def test_reads_the_environment_of_the_process_where_none_is_given(monkeypatch):
    monkeypatch.setenv("MEKIKI_KAFKA__PARTITIONS", "9")
    assert load_settings().kafka.partitions == 9
    assert load_settings({}).kafka.partitions == 4


def test_reads_lists_as_json():
    settings = load_settings({"MEKIKI_INGEST__DATAREF_ROOTS": '["/pictures", "/more"]'})
    assert settings.ingest.dataref_roots == [Path("/pictures"), Path("/more")]
    assert "written as JSON" in refused("MEKIKI_INGEST__DATAREF_ROOTS", "/pictures")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MEKIKI_KAFKA__BOOTSTRAP_SERVER", "MEKIKI_KAFKA__BOOTSTRAP_SERVERS"),
        ("MEKIKI_KAFKA_PARTITIONS", "MEKIKI_KAFKA__PARTITIONS"),
        ("mekiki_data_dirs", "MEKIKI_DATA_DIR"),
        ("MEKIKI_QDRANT__URI", "MEKIKI_QDRANT__URL"),
    ],
)
def test_an_unknown_variable_is_an_error_with_a_hint(name, meant):
    text = refused(name, "x")
    assert name in text
    assert f"did you mean {meant}?" in text


def test_a_variable_like_no_other_is_sent_to_the_doctor():
    assert "mekiki doctor" in refused("MEKIKI_ZZZZZZ", "x")


def test_variables_of_the_test_suite_and_of_others_are_not_ours():
    load_settings({"MEKIKI_TEST_QDRANT_URL": "http://q:6333", "KAFKA_HOME": "/opt/kafka", "MEKIKIX": "1"})


def test_the_variable_of_the_embedded_service_is_known():
    load_settings({"MEKIKI_PARENT_PIPE": "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEKIKI_KAFKA__PARTITIONS", "0"),
        ("MEKIKI_KAFKA__PARTITIONS", "many"),
        ("MEKIKI_KAFKA__BOOTSTRAP_SERVERS", "broker"),
        ("MEKIKI_KAFKA__BOOTSTRAP_SERVERS", "broker:kafka"),
        ("MEKIKI_KAFKA__SECURITY_PROTOCOL", "TLS"),
        ("MEKIKI_LOG_LEVEL", "LOUD"),
        ("MEKIKI_QDRANT__QUANTIZATION", "zip"),
        ("MEKIKI_QDRANT__OVERSAMPLING", "0.5"),
        ("MEKIKI_ENCODER__BACKEND", "tpu"),
        ("MEKIKI_INGEST__BREAKER_SHARE", "1.5"),
        ("MEKIKI_SERVE__PORT", "70000"),
    ],
)
def test_a_value_outside_its_rule_is_named(name, value):
    text = refused(name, value)
    assert name in text
    assert value in text


def test_a_proxy_is_an_address_or_a_network():
    assert load_settings({"MEKIKI_SERVE__TRUSTED_PROXIES": '["10.0.0.0/8", "::1"]'}).serve.trusted_proxies[1] == "::1"
    assert "'gateway': expected an address or a network" in refused("MEKIKI_SERVE__TRUSTED_PROXIES", '["gateway"]')


def test_a_write_that_waits_for_more_replicas_than_there_are_is_refused():
    assert "expected write_consistency of at most replicas" in refused("MEKIKI_QDRANT__WRITE_CONSISTENCY", "2")


def test_an_unknown_field_inside_a_json_section_is_named():
    assert "MEKIKI_KAFKA__PARTITION" in refused("MEKIKI_KAFKA", '{"partition": 3}')


def test_settings_do_not_change():
    settings = load_settings({})
    with pytest.raises(ValueError, match="frozen"):
        settings.log_level = "DEBUG"
    with pytest.raises(ValueError, match="frozen"):
        settings.kafka.partitions = 2


@given(
    roots=st.lists(VALUES.filter(bool), max_size=3), hosts=st.lists(VALUES, max_size=3), prefix=st.sampled_from("ab"),
    partitions=st.integers(1, 1000), deadline_s=st.floats(0.001, 1e6), password=st.none() | VALUES.filter(bool),
    metrics_port=st.none() | st.integers(0, 65535), embedded=st.booleans(),
    url=st.none() | VALUES.filter(bool),
)  # fmt: skip
def test_a_child_process_gets_the_same_settings(
    roots, hosts, prefix, partitions, deadline_s, password, metrics_port, embedded, url
):
    settings = Settings(
        embedded=embedded, metrics_port=metrics_port, pictures_url=url,
        kafka={"topic_prefix": prefix, "partitions": partitions, "sasl_password": password},
        ingest={"dataref_roots": roots, "dataref_hosts": hosts, "decode_deadline_s": deadline_s},
    )  # fmt: skip
    assert load_settings(as_environment(settings)) == settings


def test_every_variable_written_is_known():
    assert set(as_environment(Settings(metrics_port=1))) <= known_variables()


def test_secrets_are_masked():
    settings = load_settings({"MEKIKI_KAFKA__SASL_PASSWORD": "hunter2", "MEKIKI_QDRANT__API_KEY": "hunter2"})
    assert "hunter2" not in json.dumps(masked(settings))
    assert "hunter2" not in repr(settings)
    assert masked(settings)["MEKIKI_QDRANT__API_KEY"] == "********"
    assert as_environment(settings)["MEKIKI_KAFKA__SASL_PASSWORD"] == "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:s3cret@qdrant.example:6333/x", "https://********@qdrant.example:6333/x"),
        ("sftp://me:a@b@host/pictures", "sftp://********@host/pictures"),
        ("https://qdrant.example:6333", "https://qdrant.example:6333"),
        ("https://host/path@home", "https://host/path@home"),
        ("/a/path", "/a/path"),
    ],
)
def test_credentials_in_urls_are_masked_and_nothing_else(url, shown):
    assert masked(load_settings({"MEKIKI_PICTURES_URL": url}))["MEKIKI_PICTURES_URL"] == shown


@pytest.mark.parametrize("name", ["MEKIKI_KAFKA__CA_FILE", "MEKIKI_QDRANT__URL", "MEKIKI_KAFKA__BOOTSTRAP_SERVERS"])
def test_an_empty_variable_sets_nothing(name):
    assert load_settings({name: ""}) == load_settings({})


# ---- the table of docs/operations.md ------------------------------------------------------------------------------

OPERATIONS = Path(__file__).resolve().parents[3] / "docs" / "operations.md"


def rows(prefix, model):
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield f"| | | **{(field.annotation.__doc__ or '').strip()}** |"
            yield from rows(f"{prefix}{name}__".upper(), field.annotation)
        else:
            default = field.get_default(call_default_factory=True)
            shown = "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
            yield f"| `{(prefix + name).upper()}` | {shown} | {field.description or ''} |"


def test_the_table_in_the_docs_is_the_settings():
    table = "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows("MEKIKI_", Settings)])
    assert table in OPERATIONS.read_text(), f"put this into docs/operations.md:\n{table}"


def test_the_docs_list_every_metric():
    documented = OPERATIONS.read_text()
    ours = [metric for metric in REGISTRY.collect() if metric.name.startswith("mekiki_")]
    assert len(ours) >= 12
    for metric in ours:
        assert f"`{metric.name}" in documented
        assert metric.documentation in documented


ROOT = OPERATIONS.parents[1]
WRITTEN = [
    path
    for folder in ("docs", "deploy", ".")
    for path in ((ROOT / folder).glob("*.md") if folder == "." else (ROOT / folder).rglob("*"))
    if path.is_file() and path.suffix in (".md", ".yaml", ".gpu", "")
]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_variable_named_in_docs_and_deployment_is_known(path):
    named = set(re.findall(r"MEKIKI_[A-Z0-9_]*[A-Z0-9]", path.read_text()))
    ours = {name for name in named if not name.startswith("MEKIKI_TEST")}
    assert ours <= known_variables() | {"MEKIKI_KAFKA"}


@pytest.mark.parametrize(
    "path", [p for p in WRITTEN if p.suffix == ".md"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_link_inside_the_docs_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        if target != "docs/demo.png":  # drawn by `make demo`
            assert (path.parent / target).exists(), target
