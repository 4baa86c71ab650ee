"""`mekiki bench encoder|ingest` and `mekiki demo` through their processes."""

import json

import cv2
import pytest

from tests.e2e.conftest import run_cli


def test_bench_encoder_measures_this_machine(tmp_path):
    report = tmp_path / "encoder.json"
    done = run_cli("bench", "encoder", "--images", "32", "--json", str(report))
    assert done.returncode == 0, done.stderr
    figures = json.loads(report.read_text())
    assert figures["id"] == "E1"
    assert all(figures[f"images_per_second_{batch}"] > 0 for batch in (1, 8, 32, 64))


@pytest.mark.parametrize("points", ["1000,", "many", "10"])
def test_bench_search_says_which_sizes_it_takes(points):
    done = run_cli("bench", "search", f"--points={points}")
    assert done.returncode == 2
    assert f"--points {points}: expected numbers of 1000 or more, with commas between them" in done.stderr


@pytest.mark.long
@pytest.mark.timeout(300)
def test_bench_search_measures_sizes_and_bits():
    done = run_cli("bench", "search", "--points", "1000,6000", "--json", "-", timeout_s=280)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert list(figures["points"]) == ["1000", "6000"]
    for size in figures["points"].values():
        assert size["recall_at_10"] >= 0.99
        assert 0 < size["p50_ms"] <= size["p95_ms"] and size["float_p95_ms"] > 0
        assert size["worst_gap_ms"] > 0 and size["writes_per_second"] > 0 and size["rss_mb"] > 50
    assert figures["binary"]["recall_at_10_rescored"] >= 0.99
    assert figures["binary"]["hit_at_10_bits_over_float"] >= 0.95
    assert figures["binary"]["bytes_per_vector"] * 32 == figures["binary"]["float_bytes_per_vector"]


@pytest.mark.long
@pytest.mark.timeout(240)
def test_bench_ingest_measures_the_whole_way():
    done = run_cli("bench", "ingest", "--images", "60", "--json", "-")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["images"] == 60
    assert figures["ingest_over_encoder"] == pytest.approx(
        figures["images_per_second"] / figures["encoder_images_per_second"], rel=0.02
    )


@pytest.mark.long
@pytest.mark.timeout(300)
def test_bench_encoders_makes_one_document_of_the_parts_asked_for(tmp_path):
    report = tmp_path / "encoders.json"
    done = run_cli("bench", "encoders", "--only", "binary", "--only", "export", "--json", str(report), timeout_s=280)
    assert done.returncode == 0, done.stderr
    figures = json.loads(report.read_text())
    assert list(figures) == ["id", "binary", "export", "seconds"]
    assert figures["binary"]["recall_at_10_rescored"] >= 0.99
    assert figures["binary"]["hit_at_10_bits_over_float"] >= 0.95
    assert figures["export"]["rows"] == 600 and figures["export"]["vocabulary_stable"] is True
    assert figures["export"]["leaks"] == 0 < figures["export"]["control_leaks"]
    assert figures["seconds"].keys() == {"binary", "export"}


@pytest.mark.long
@pytest.mark.timeout(240)
def test_bench_ctr_finds_no_leak_but_the_planted_one_and_learns_from_tag_vectors():
    done = run_cli("bench", "ctr", "--pictures", "120", "--shown", "2000", "--json", "-")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["export"]["rows"] == 90 and figures["export"]["vocabulary_stable"] is True
    assert figures["export"]["leaks"] == 0 < figures["export"]["control_leaks"]
    losses = [figures["ctr"][name]["log_loss"] for name in ("position", "tag_vector", "truth")]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_bench_post_measures_beside_a_plain_producer():
    done = run_cli("bench", "post", "--pictures", "200", "--json", "-")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["id"], figures["pictures"]) == ("P1", 200)
    assert figures["posted_per_second_while_ingesting"] > 0
    ratio = figures["posted_per_second"] / figures["plain_producer_per_second"]
    assert figures["posted_over_plain"] == pytest.approx(ratio, rel=0.02)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_demo_goes_round_the_whole_loop(tmp_path):
    report, sheet = tmp_path / "demo.json", tmp_path / "sheet.png"
    done = run_cli("demo", "--pictures", "240", "--json", str(report), "--sheet", str(sheet), timeout_s=280)
    assert done.returncode == 0, done.stderr
    figures = json.loads(report.read_text())
    assert figures["images_posted"] == figures["images_indexed"] == 240
    assert figures["dead_letters"] == figures["dead_letters_planted"] == 3
    new = figures["new_tag"]  # a tag whose pictures all come late is not watched
    assert new["tags"] / 2 < new["searchable"] == len(new["ms_to_searchable"]["each"]) <= new["tags"]
    assert figures["ranker"]["pair_accuracy_after"] > 0.65 > figures["ranker"]["pair_accuracy_before"]
    assert figures["heldout"]["images"] > 20 and figures["heldout"]["lrap"] > 0.3
    assert cv2.imread(str(sheet)).shape[1] > 500
    assert "order by taste" in done.stdout
