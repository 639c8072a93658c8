"""A run directory against what was rendered, and data against the index."""

import os

import pytest

from hpctrain.errors import ConfigError
from hpctrain.index import Index
from hpctrain.index.digests import sha256_of
from hpctrain.index.table import Row
from hpctrain.preflight.verify import runs_in, verify, verify_all
from hpctrain.render import render, write_run
from tests.jobs import inputs, mantle


def indexed(root, count: int = 3) -> Index:
    """An index of small files, made by hand."""
    rows = []
    for i in range(count):
        path = root / f"{i}.npy"
        path.write_text(f"content {i}")
        status = path.stat()
        rows.append(
            Row.make(
                id=str(i),
                split="train",
                target=path.name,
                target_size=str(status.st_size),
                target_sha256=sha256_of(path),
                target_mtime=str(status.st_mtime_ns),
            )
        )
    return Index(root, tuple(rows), {"rule": {}})


@pytest.fixture
def run(tmp_path, monkeypatch):
    from dataclasses import replace

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    index = indexed(tmp_path / "data")
    resolved = mantle("local")
    made = replace(inputs(), index_csv=index.csv_text, index_json=index.json_text)
    write_run(render(resolved.job, resolved.site, made), tmp_path / "mantle")
    return tmp_path / "mantle"


def test_verify__unchanged(run):
    verdict = verify(run, has_content=True)
    assert verdict.is_unchanged
    assert (verdict.differences, verdict.index, verdict.num_rows) == ((), (), 3)
    assert verdict.num_files > 8


def test_verify__what_was_done_to_it(run):
    (run / "run.sh").write_text("edited")
    (run / "site.yaml").unlink()
    (run / "code" / "user").mkdir()
    (run / "code" / "user" / "new.py").touch()
    (run / "hpctrain.sif").touch()
    page = verify(run).as_dict()
    assert (page["edited"], page["removed"]) == (["run.sh"], ["site.yaml"])
    assert page["added"] == ["code/user", "hpctrain.sif"]
    assert not page["is_unchanged"]


def test_verify__what_the_run_itself_writes_is_not_listed(run):
    names = ("STOP", "submitted.log", "chain.log", "followers", "logs/1.out", "checkpoints/x")
    for name in names:
        (run / name).touch()
    (run / "state.json").write_text('{"status": "running"}')
    assert verify(run).differences == ()


def test_verify__only_code_beside_it_counts(run):
    (run / "hpctrain.sif").touch()
    assert verify(run).is_unchanged
    (run / "code" / "hpctrain" / "new.py").touch()
    assert not verify(run).is_unchanged


def test_verify__all_data_files_that_changed(run, tmp_path):
    (tmp_path / "data" / "0.npy").write_text("longer than before")
    (tmp_path / "data" / "2.npy").unlink()
    first, second = verify(run).index
    assert "0.npy: 18 bytes, 9 when the job was rendered" in first
    assert "2.npy: cannot be read" in second


def test_verify__content_that_hides_behind_size_and_time(run, tmp_path):
    path = tmp_path / "data" / "1.npy"
    times = path.stat()
    path.write_text("CONTENT 1")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert verify(run).is_unchanged
    (fault,) = verify(run, has_content=True).index
    assert "1.npy: content has changed since the job was rendered" in fault


def test_verify__an_index_that_was_edited(run):
    path = run / "index.csv"
    path.write_text(path.read_text().replace("train", "validation", 1))
    verdict = verify(run)
    assert "altered since it was written" in verdict.index[0]
    assert verdict.differences[0].path == "index.csv"


def test_verify__no_run_directory(tmp_path):
    with pytest.raises(ConfigError, match=r"has no manifest\.json that can be read"):
        verify(tmp_path)


def test_runs_in__a_sweep(tmp_path):
    (tmp_path / "points" / "001").mkdir(parents=True)
    (tmp_path / "points" / "000").mkdir()
    (tmp_path / "points" / "notes.txt").touch()
    assert [path.name for path in runs_in(tmp_path)] == ["000", "001"]
    with pytest.raises(ConfigError, match=r"has points, and no sweep\.json that can be read"):
        next(verify_all(tmp_path))
