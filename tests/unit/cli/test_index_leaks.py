"""A job refuses an index whose splits leak."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from hpctrain.cli import main
from hpctrain.index.store import load_index, save_index
from hpctrain.index.table import Index
from tests.unit.cli.test_render import JOB, write_npy

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def call(*argv: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as info:
            main([str(word) for word in argv])
        out, err = capsys.readouterr()
        return int(info.value.code or 0), out, err

    return call


@pytest.mark.parametrize("command", ["render", "check"])
def test_job__an_index_whose_splits_leak(tmp_path: Path, run: Run, command: str) -> None:
    """An index that was divided by another tool, or by an earlier version."""
    (tmp_path / "data").mkdir()
    for i in range(3):
        write_npy(tmp_path / "data" / f"s{i}.npy", i, (2, 16, 16, 16))
    (tmp_path / "data" / "copy.npy").write_bytes((tmp_path / "data" / "s0.npy").read_bytes())
    words = ("--modality", "target=*.npy", "--inspect", "none")
    assert run("index", "build", "data", *words)[0] == 0
    index = load_index(tmp_path / "data")
    rows = [
        row.replace(split="train" if row.id == "s0" else "validation", status="ok", reason="")
        for row in index.rows
    ]
    save_index(Index(index.root, rows, index.facts, index.columns), tmp_path / "data")
    data = {"kind": "fields", "index": "data/index.csv", "crop": [4, 4, 4]}
    Path("small.yaml").write_text(yaml.safe_dump({**JOB, "data": data}))
    code, out, err = run(command, "small")
    assert code == 2
    assert "data.index: " in out + err
    assert "equal content in two splits: target of s0 (train) and copy (validation)" in out + err
    rows = [row.replace(split="train") if row.id == "copy" else row for row in rows]
    save_index(Index(index.root, rows, index.facts, index.columns), tmp_path / "data")
    assert run("render", "small")[0] == 0
    assert json.loads(Path("jobs/small/index.json").read_text())["counts"]["train"] == 2
