"""Ids of any characters, from the command line to the contact sheet."""

import json

import cv2
from rich.cells import cell_len

from search.access.paths import quote_id
from tests.cluster import wait_for
from tests.e2e.conftest import drawing
from tests.e2e.test_cli_and_api import is_in


def test_ids_of_any_characters_work_on_the_command_line(service, tmp_path):
    """Those that a folder gives too, and what a console would take for its own marks is shown as it was written."""
    ids = ["any/[red]x[/red].jpg", "any/a/bytes", "any/50%25 ?#.png", "..", "any/猫"]
    for number, image_id in enumerate(ids):
        (tmp_path / "one.png").write_bytes(drawing(800 + number))
        service.cli("post", str(tmp_path / "one.png"), "--id", image_id, "--tag", "[bold]any")
    wait_for(lambda: all(service.has(quote_id(image_id)) for image_id in ids), "the pictures")
    page = json.loads(service.cli("search", "--id", ids[1], "--with", "[bold]any", "--json"))
    assert {row["image_id"] for row in page["results"]} == set(ids) - {ids[1]}
    said = service.cli("search", "--id", ids[1], "--id", ids[2], "--unlike", "..", "--with", "[bold]any",
                       "--sheet", str(tmp_path / "sheet.png"))  # fmt: skip
    assert "[red]x" in said and "[bold]any" in said and "contact sheet" in said
    assert max(map(cell_len, said.splitlines()[:-1])) <= 80
    assert is_in(cv2.imread(str(tmp_path / "sheet.png")), drawing(804))
    listed = json.loads(service.cli("images", "list", "--limit", "100000", "--json"))
    assert set(ids) <= {image["image_id"] for image in listed}
    shown = service.cli("images", "show", ids[0], "--save", str(tmp_path / "saved.png"))
    assert ids[0] in shown
    assert (tmp_path / "saved.png").read_bytes() == drawing(800)
    assert "not in the index" in service.cli("images", "delete", "any/a", "..", "--yes", code=2)
    assert ids[0] in service.cli("images", "delete", *ids, "--yes")
    wait_for(lambda: not any(service.has(quote_id(image_id)) for image_id in ids), "the deletions")
