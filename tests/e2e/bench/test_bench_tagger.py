"""`mekiki bench tagger` through its process: on anybody's pictures, and through a broker."""

import json

import pytest

from admin.openmoji import load_pictures, rasterise
from benchmarks.tagger import stream
from tests.e2e.conftest import drawing, run_cli

PICTURES = 120


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder of labelled OpenMoji pictures, one broken file among them, and the file of their tags."""
    folder = tmp_path_factory.mktemp("own")
    rows = []
    (folder / "deeper").mkdir()
    for number, picture in enumerate(load_pictures()[:PICTURES]):
        name = f"{picture.image_id}.png" if number % 2 else f"deeper/{picture.image_id}.jpg"
        (folder / name).write_bytes(rasterise(picture, format="png" if number % 2 else "jpeg"))
        rows.append({"file": name, "tags": list(picture.tags)})
    (folder / "broken.png").write_bytes(b"no picture at all")
    rows += [{"file": "broken.png", "tags": ["broken"]}, {"file": "not-there.png", "tags": ["gone"]}]
    labels = folder / "tags.jsonl"
    labels.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return folder, labels


def bench(own, *arguments):
    folder, labels = own
    threads = {"OMP_NUM_THREADS": "1"}  # on a busy machine torch's threads wait for each other at every small product
    return run_cli("bench", "tagger", "--pictures", str(folder), "--tags", str(labels), *arguments, **threads)


@pytest.mark.long
def test_quality_on_own_pictures(own, tmp_path):
    file = tmp_path / "out.json"
    done = bench(
        own, "--only", "quality", "--only", "few-shot", "--splits", "2", "--without", "all", "--json", str(file)
    )
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stderr.split())
    assert "1 of 121 labelled pictures cannot be read and are left out: broken.png (not_an_image)" in text
    report = json.loads(file.read_text())
    assert set(report) == {"quality", "few_shot"}
    quality = report["quality"]
    assert [row["seed"] for row in quality["splits"]] == [20, 21]
    for name in ("lrap_over_offline", "map_over_offline"):
        first, second = (row[name] for row in quality["splits"])
        assert quality[name] == pytest.approx((first + second) / 2)
        assert quality[f"{name}_std"] == pytest.approx(abs(first - second) / 2**0.5)
    assert 0.2 < quality["online"]["lrap"] <= 1
    assert 0 < quality["tags"] < PICTURES
    assert quality["xgboost"] == {"map": None, "tags": 0}
    assert set(report["few_shot"]["positives"]) == {"1", "2", "5", "10", "20"}
    rows = [line.strip("│ ").split("│") for line in done.stdout.splitlines() if line.startswith("│")]
    figures = {name.strip(): value.strip() for name, value in rows}
    assert float(figures["quality map_over_offline"]) == pytest.approx(quality["map_over_offline"], rel=1e-3)
    assert figures["few_shot ten_over_all"] == "-"  # no tag has so many pictures here


def refused(done, *words):
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    said = " ".join(done.stderr.split())
    assert "mekiki: " in said and all(word in said for word in words), said


def test_a_missing_folder_or_file_is_named(own, tmp_path):
    folder, labels = own
    refused(bench((tmp_path / "nowhere", labels)), "nowhere", "--pictures")
    refused(bench((folder, tmp_path / "none.jsonl")), "none.jsonl", "check the path")
    refused(run_cli("bench", "tagger", "--pictures", str(folder)), "--tags")


@pytest.mark.parametrize("line", ["{", '["cat"]', '{"file": "a.png"}', '{"file": "a.png", "tags": "cat"}'])
def test_a_broken_line_is_named(own, tmp_path, line):
    labels = tmp_path / "tags.jsonl"
    labels.write_text('{"file": "b.png", "tags": ["cat"]}\n' + line, encoding="utf-8")
    refused(bench((own[0], labels)), "line 2", "correct the line")


def test_a_peer_that_cannot_run_is_an_error_unless_it_is_left_out(tmp_path):
    (tmp_path / "xgboost.py").write_text("raise ImportError('not for this machine')")
    done = run_cli("bench", "tagger", "--only", "quality", PYTHONPATH=str(tmp_path))
    assert (done.returncode, "Traceback" in done.stderr) == (78, False), done.stderr
    assert "not for this machine" in done.stderr and "--without xgboost" in done.stderr
    refused(run_cli("bench", "tagger", "--without", "xboost"), "xboost", "scikit-learn")


def test_too_little_to_measure_on_is_refused(tmp_path):
    labels = tmp_path / "tags.jsonl"
    for number in range(60):
        (tmp_path / f"{number}.png").write_bytes(drawing(number))
    rows = [{"file": f"{number}.png", "tags": [f"tag {number}"]} for number in range(60)]
    labels.write_text("\n".join(map(json.dumps, rows[:40])))
    refused(bench((tmp_path, labels)), "at least 50", "found 40")
    labels.write_text("\n".join(map(json.dumps, rows)))
    refused(bench((tmp_path, labels), "--only", "quality", "--without", "xgboost"), "5 training pictures")


@pytest.mark.long
def test_the_tags_worker_is_measured_through_a_broker():
    assert stream.run(100) > 50
