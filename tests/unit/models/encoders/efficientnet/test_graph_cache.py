"""The cached graph: one file, whoever writes it, and no torch once it is there."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.encoders import Encoder
from models.encoders.efficientnet.graph_cache import cached_graph
from models.errors import StorageUnavailableError


def test_several_processes_may_write_the_graph_at_once(encoder: Encoder, cache_dir: Path, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from models.encoders.efficientnet.graph_cache import cached_graph; "
        "print(cached_graph(cache_dir=pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "new")]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {writer.communicate()[0].strip() for writer in writers}
    assert all(writer.returncode == 0 for writer in writers)
    (path,) = paths
    assert [file.name for file in (tmp_path / "new").iterdir()] == [Path(path).name]
    assert Path(path).read_bytes() == cached_graph(cache_dir=cache_dir).read_bytes()


def test_a_cached_graph_runs_without_torch(encoder: Encoder, cache_dir: Path) -> None:
    code = (
        "import sys, pathlib, numpy; from models.encoders import load_encoder; "
        "load_encoder('onnx', cache_dir=pathlib.Path(sys.argv[1])).embed(numpy.zeros((1, 224, 224, 3), 'uint8')); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(cache_dir)], check=False).returncode == 0


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no folder")
    with pytest.raises(StorageUnavailableError, match="MEKIKI_CACHE_DIR"):
        cached_graph(cache_dir=tmp_path / "file" / "folder")
