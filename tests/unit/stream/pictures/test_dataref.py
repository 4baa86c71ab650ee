"""Datarefs stay where they may."""

import hashlib
import http.server
import os
import threading

import pytest

from models.errors import PolicyError, StorageUnavailableError
from stream.pictures.dataref import DatarefReader, checked_sha256

CONTENT = b"picture bytes"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LIMIT = 10_000


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "allowed"
    folder.mkdir()
    (folder / "猫 1.png").write_bytes(CONTENT)
    (tmp_path / "secret.png").write_bytes(b"secret")
    return folder


@pytest.fixture
def reader(root):
    return DatarefReader([root], ["localhost"], LIMIT, uploads=root.parent / "uploads")


def reason(reader, dataref) -> str:
    with pytest.raises(PolicyError) as caught:
        reader.read(dataref)
    assert str(caught.value)
    return caught.value.reason


def test_hashes_are_checked():
    assert checked_sha256(CONTENT, None) == checked_sha256(CONTENT, SHA256) == SHA256
    with pytest.raises(PolicyError) as caught:
        checked_sha256(CONTENT, "0" * 64)
    assert caught.value.reason == "sha256_mismatch"


# ---- file datarefs ------------------------------------------------------------------------------------------------


def test_reads_inside_the_root_also_with_spaces_and_kanji(reader, root):
    assert reader.read((root / "猫 1.png").as_uri()) == CONTENT
    assert reader.read(f"file://{root}/猫 1.png") == CONTENT


def test_a_link_inside_the_root_is_followed(reader, root):
    (root / "link.png").symlink_to(root / "猫 1.png")
    assert reader.read((root / "link.png").as_uri()) == CONTENT


@pytest.mark.parametrize("path", ["/../secret.png", "/a/../../secret.png", "/%2e%2e/secret.png", "/..%2fsecret.png"])
def test_dots_do_not_lead_out(reader, root, path):
    assert reason(reader, f"file://{root}{path}") == "dataref_forbidden"


def test_a_link_does_not_lead_out(reader, root, tmp_path):
    (root / "out.png").symlink_to(tmp_path / "secret.png")
    (root / "up").symlink_to(tmp_path)
    assert reason(reader, (root / "out.png").as_uri()) == "dataref_forbidden"
    assert reason(reader, f"file://{root}/up/secret.png") == "dataref_forbidden"


def test_a_folder_whose_name_begins_like_the_root_is_outside(reader, root):
    beside = root.with_name("allowed-not")
    beside.mkdir()
    (beside / "a.png").write_bytes(b"x")
    assert reason(reader, (beside / "a.png").as_uri()) == "dataref_forbidden"


@pytest.mark.parametrize("dataref", [
    "", "cat.png", "/etc/passwd", "file:///etc/passwd", "file:cat.png", "ftp://localhost/a", "s3://bucket/a", "data:,x",
    "http://[::1", "file:///\x00", "file:///%00", "javascript:alert(1)",
])  # fmt: skip
def test_what_is_not_allowed_is_forbidden(reader, dataref):
    assert reason(reader, dataref) == "dataref_forbidden"


def test_nothing_is_allowed_where_no_root_is_named(root):
    assert (
        reason(DatarefReader([], [], LIMIT, uploads=root / "uploads"), (root / "猫 1.png").as_uri())
        == "dataref_forbidden"
    )


def test_a_file_that_is_not_there_is_poison_not_a_full_disk(reader, root):
    for name in ("missing.png", "猫 1.png/below.png", "x" * 300, ""):
        assert reason(reader, f"file://{root}/{name}") == "dataref_missing"


def test_links_in_a_circle_are_poison(reader, root):
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")
    assert reason(reader, f"file://{root}/a").startswith("dataref_")


def test_a_file_that_may_not_be_read_is_poison(reader, root):
    path = root / "closed.png"
    path.write_bytes(CONTENT)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads everything")
    assert reason(reader, path.as_uri()) == "dataref_missing"


def test_a_file_that_is_too_large_is_not_read(reader, root):
    (root / "large.png").write_bytes(b"x" * (LIMIT + 1))
    (root / "fits.png").write_bytes(b"x" * LIMIT)
    assert reason(reader, (root / "large.png").as_uri()) == "too_large"
    assert len(reader.read((root / "fits.png").as_uri())) == LIMIT


# ---- http datarefs ------------------------------------------------------------------------------------------------


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, _, size = self.path.strip("/").partition("/")
        self.send_response(int(status))
        if status == "302":
            self.send_header("Location", "http://evil.example/")
        self.end_headers()
        self.wfile.write(b"x" * int(size or 0))

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    server = http.server.HTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_reads_from_an_allowed_host(reader, site):
    assert reader.read(f"http://{site}/200/10") == b"x" * 10
    assert reader.read(f"http://{site.upper()}/200/10") == b"x" * 10


@pytest.mark.parametrize("url", [
    "http://evil.example/a", "https://localhost.evil.example/a", "http://localhost@evil.example/a", "http:///a",
    "http://127.0.0.1/a", "http://localhost:99999999/a", "http://localhost:x/a", "http://localhost/\x01",
])  # fmt: skip
def test_other_hosts_and_half_urls_are_forbidden(reader, url):
    assert reason(reader, url) == "dataref_forbidden"


def test_stops_reading_at_the_limit(reader, site):
    assert reason(reader, f"http://{site}/200/{LIMIT * 100}") == "too_large"


@pytest.mark.parametrize("status", [302, 403, 404, 410])
def test_an_answer_that_will_not_change_is_poison(reader, site, status):
    assert reason(reader, f"http://{site}/{status}") == "dataref_missing"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_an_answer_that_may_change_is_infrastructure(reader, site, status):
    with pytest.raises(StorageUnavailableError):
        reader.read(f"http://{site}/{status}")


def test_a_host_that_does_not_answer_is_infrastructure(reader):
    from stream.log.embedded_broker import free_port

    with pytest.raises(StorageUnavailableError):
        reader.read(f"http://localhost:{free_port()}/a")
