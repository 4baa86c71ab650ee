"""Keys, sessions and rates, over HTTP."""

import pytest

from admin.operators.serve import check_exposure
from models.errors import ConfigurationError
from search.access import keys as keys_module
from search.access.keys import COOKIE, SESSION_S, Keys
from search.access.rates import MOST_CALLERS, Rates
from stream.environment import as_environment, load_settings, masked
from stream.settings import ServeSettings
from tests.unit.search.api import client_of, make_service, put

WRITE, NEXT, READ = "w" * 20, "n" * 20, "r" * 20
PROBES = ("/livez", "/healthz", "/readyz")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    service = make_service(folder, api_key=WRITE, api_key_next=NEXT, read_key=READ)
    put(service, "a")
    return service


@pytest.fixture
def api(service):
    with client_of(service) as client:
        yield client


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def test_without_a_key_nothing_answers_but_probes(api):
    routes = api.get("/openapi.json", headers=bearer(READ)).json()["paths"]
    asked = [(method, path) for path, methods in routes.items() for method in methods]
    asked += [("get", "/docs"), ("get", "/openapi.json"), ("get", "/nowhere")]
    assert len(asked) > 25
    for method, path in asked:
        for headers in (
            {},
            bearer("x" * 20),
            {"Authorization": "Basic abc"},
            {"Cookie": f"{COOKIE}=write.9999999999.00"},
        ):
            answer = api.request(method, path.replace("{image_id}", "a"), headers=headers)
            if path in (*PROBES, "/v1/session"):
                assert answer.status_code != 401 or "POST /v1/session" not in answer.json()["detail"]
            else:
                assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    for path in PROBES:
        assert api.get(path).status_code == 200


@pytest.mark.parametrize("key", [WRITE, NEXT])
def test_two_keys_are_live_at_once(api, key):
    assert api.get("/v1/images/a", headers=bearer(key)).status_code == 200
    assert api.put("/v1/images/a/tags", json={"tags": ["x"]}, headers=bearer(key)).status_code == 202


def test_a_key_that_only_reads_changes_nothing(api, service):
    before = len(service.writer.acknowledged)
    headers = bearer(READ)
    assert api.get("/v1/images/a", headers=headers).status_code == 200
    assert api.head("/v1/images/a", headers=headers).status_code == 200
    assert api.post("/v1/search/image", content=b"pic1", headers=headers).status_code == 200
    assert api.post("/v1/predict", content=b"pic1", headers=headers).status_code == 200
    assert api.post("/v1/rank", json={"image_ids": ["a"]}, headers=headers).status_code == 200
    refused = [
        api.post("/v1/images", content=b"pic1", headers=headers), api.delete("/v1/images/a", headers=headers),
        api.put("/v1/images/a/tags", json={"tags": ["x"]}, headers=headers),
        api.post("/v1/pairs", json={"preferred": "a", "over": "b"}, headers=headers),
        api.post("/v1/clicks", json={}, headers=headers), api.post("/v1/impressions", json={}, headers=headers),
        api.get("/v1/search/tag", params={"tag": "cat", "session_id": "s"}, headers=headers),
    ]  # fmt: skip
    assert {answer.status_code for answer in refused} == {403}
    assert len(service.writer.acknowledged) == before


def test_a_browser_gets_a_cookie_that_scripts_cannot_read(api):
    assert api.post("/v1/session", json={"key": "x" * 20}).status_code == 401
    answer = api.post("/v1/session", json={"key": WRITE})
    said = answer.headers["set-cookie"]
    assert answer.status_code == 204
    assert "HttpOnly" in said and "SameSite=strict" in said and f"Max-Age={SESSION_S}" in said
    assert WRITE not in said
    assert api.put("/v1/images/a/tags", json={"tags": ["x"]}).status_code == 202
    assert api.delete("/v1/session").status_code == 204
    assert api.get("/v1/images/a").status_code == 401


def test_over_https_the_cookie_goes_over_https_alone_and_a_proxy_says_so_if_it_is_trusted(api, tmp_path):
    said = {"X-Forwarded-Proto": "https"}

    def is_secure(client, **headers):
        return "Secure" in client.post("/v1/session", json={"key": WRITE}, headers=headers).headers["set-cookie"]

    assert is_secure(api, **said)
    assert not is_secure(api) and not is_secure(api, **{"X-Forwarded-Proto": "http"})
    with client_of(make_service(tmp_path, api_key=WRITE, trusted_proxies=["10.0.0.0/8"])) as client:
        assert not is_secure(client, **said)


def test_a_trusted_proxy_says_whose_request_it_is(tmp_path):
    with client_of(make_service(tmp_path, requests_per_minute=2)) as client:
        for_one, for_other = ({"X-Forwarded-For": address} for address in ("10.1.1.1", "10.1.1.2"))
        assert [client.get("/v1/status", headers=for_one).status_code for _ in range(3)] == [200, 200, 429]
        assert client.get("/v1/status", headers=for_other).status_code == 200


def test_a_session_ends_with_its_time_or_its_key_and_cannot_be_made_up(monkeypatch):
    keys = Keys(ServeSettings(api_key=WRITE, read_key=READ))
    cookie = keys.session(READ)
    assert keys.level_of_session(cookie) == "read"
    level, ends, signature = cookie.split(".")
    for forged in (
        f"write.{ends}.{signature}",
        f"{level}.{int(ends) + 1}.{signature}",
        f"{level}.{ends}.",
        "",
        "a.b.c",
    ):
        assert keys.level_of_session(forged) is None
    assert Keys(ServeSettings(api_key=WRITE, read_key="s" * 20)).level_of_session(cookie) is None
    monkeypatch.setattr(keys_module, "time", lambda: int(ends) + 1)
    assert keys.level_of_session(cookie) is None


def test_who_asks_too_often_is_told_how_long_to_wait(tmp_path):
    with client_of(make_service(tmp_path, api_key=WRITE, api_key_next=NEXT, requests_per_minute=3)) as client:
        for _ in range(3):
            assert client.get("/v1/status", headers=bearer(WRITE)).status_code == 200
        refused = client.get("/v1/status", headers=bearer(WRITE))
        assert (refused.status_code, int(refused.headers["retry-after"])) == (429, 20)
        assert client.get("/v1/status", headers=bearer(NEXT)).status_code == 200
        assert [client.get("/v1/status").status_code for _ in range(4)] == [401, 401, 401, 429]
        assert client.post("/v1/session", json={"key": WRITE}).status_code == 429
        assert {client.get("/healthz").status_code for _ in range(5)} == {200}


def test_tokens_come_back_with_time_and_no_more_than_the_bucket_holds():
    rates = Rates(60)
    assert [rates.wait_s("a", 0.0) for _ in range(60)] == [0.0] * 60
    assert rates.wait_s("a", 0.25) == pytest.approx(0.75)
    assert rates.wait_s("b", 0.25) == 0.0
    assert rates.wait_s("a", 1.0) == 0.0
    assert [rates.wait_s("a", 1_000.0) for _ in range(61)][-2:] == [0.0, pytest.approx(1.0)]
    for number in range(MOST_CALLERS):
        rates.wait_s(f"c{number}", 1_000.0)
    assert rates.wait_s("a", 1_000.0) == 0.0  # forgotten: memory is bounded


@pytest.mark.parametrize("serve", [
    {}, {"host": "127.0.0.1"}, {"host": "::1"}, {"host": "localhost"}, {"host": "0.0.0.0", "open": True},
    {"host": "0.0.0.0", "api_key": WRITE}, {"host": "::", "read_key": READ},
])  # fmt: skip
def test_where_it_may_listen(serve):
    check_exposure(ServeSettings(**serve))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "gallery.example"])
def test_beyond_this_machine_it_listens_with_a_key_or_not_at_all(host):
    with pytest.raises(ConfigurationError, match=f"MEKIKI_SERVE__HOST {host}: expected a key.*MEKIKI_SERVE__OPEN"):
        check_exposure(ServeSettings(host=host))


def test_keys_reach_child_processes_and_no_eyes():
    settings = load_settings({"MEKIKI_SERVE__API_KEY": WRITE, "MEKIKI_SERVE__READ_KEY_NEXT": READ})
    assert load_settings(as_environment(settings)) == settings
    assert WRITE not in str(masked(settings)) and READ not in str(masked(settings)) and WRITE not in str(settings)


@pytest.mark.parametrize("key", ["too short", "with spaces in it", "ключ" * 5])
def test_a_key_that_no_header_holds_is_refused_and_not_repeated(key):
    with pytest.raises(ConfigurationError, match=r"MEKIKI_SERVE__READ_KEY \*+: expected 16 or more") as refused:
        load_settings({"MEKIKI_SERVE__READ_KEY": key})
    assert key not in str(refused.value)
