"""N1a: the table of `mekiki encoder eval` for the encoders that are built in and installed."""

from typing import Any

from admin.operators.encoders.command import usable
from admin.operators.encoders.judge import judge
from admin.operators.encoders.labelled import load_openmoji
from models.encoders.registry.folders import EncoderFolders


def run(splits: int) -> dict[str, Any]:
    """Figures of each encoder by its name, on the OpenMoji pictures."""
    folders = EncoderFolders()
    rows = judge(folders, usable(folders), load_openmoji(), splits)
    return {row.encoder: row.document() for row in rows if row.layer == "vector"}
