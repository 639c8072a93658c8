"""Run directories on disk."""

import json
from pathlib import Path

import pytest

from hpctrain.errors import RenderError
from hpctrain.render import render, write_run
from hpctrain.render.writer import edited_files
from tests.jobs import inputs, mantle


def files(*settings: str):
    resolved = mantle("local", *settings)
    return render(resolved.job, resolved.site, inputs())


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    paths = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in paths}


@pytest.fixture
def run(tmp_path):
    assert write_run(files(), tmp_path / "jobs" / "mantle") == "written"
    return tmp_path / "jobs" / "mantle"


def test_write_run__everything_is_there(run):
    assert (run / "run.sh").stat().st_mode & 0o111
    assert not (run / "config.yaml").stat().st_mode & 0o111
    assert all((run / name).is_dir() for name in ("logs", "checkpoints", "tensorboard", "eval"))
    assert [p.name for p in run.parent.iterdir()] == ["mantle"]


def test_write_run__nothing_changed_touches_nothing(run):
    before = snapshot(run)
    assert write_run(files(), run) == "unchanged"
    assert snapshot(run) == before


def test_write_run__nothing_changed_keeps_a_started_run_and_edits(run):
    (run / "state.json").write_text('{"status": "running"}')
    (run / "run.sh").write_text("#!/bin/bash\n# mine\n")
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "launches": [{"host": "x"}]}))
    assert write_run(files(), run) == "unchanged"
    assert "# mine" in (run / "run.sh").read_text()
    assert edited_files(run) == ["run.sh"]


def test_write_run__a_change_before_the_start_replaces(run):
    assert write_run(files("train.epochs=9"), run) == "replaced"
    assert "epochs: 9" in (run / "config.yaml").read_text()
    assert [p.name for p in run.parent.iterdir()] == ["mantle"]


@pytest.mark.parametrize("status", ["starting", "running", "stopped", "finished", "failed"])
def test_write_run__a_change_after_the_start_is_refused(run, status):
    (run / "state.json").write_text(json.dumps({"status": status}))
    before = snapshot(run)
    with pytest.raises(RenderError, match="this run has started.*--as mantle-2"):
        write_run(files("train.epochs=9"), run)
    assert snapshot(run) == before


@pytest.mark.parametrize("trace", ["logs/1.out", "checkpoints/state_1.pt"])
def test_write_run__traces_of_a_start_count_too(run, trace):
    (run / trace).touch()
    with pytest.raises(RenderError, match="has started"):
        write_run(files("train.epochs=9"), run)


def test_write_run__the_next_free_name_is_offered(run):
    (run / "state.json").write_text("{")
    (run.parent / "mantle-2").mkdir()
    with pytest.raises(RenderError, match="--as mantle-3"):
        write_run(files("train.epochs=9"), run)


def test_write_run__edits_by_hand_are_not_lost(run):
    (run / "run.sh").write_text("#!/bin/bash\n# mine\n")
    with pytest.raises(RenderError, match=r"run\.sh was edited by hand.*--as mantle-2"):
        write_run(files("train.epochs=9"), run)
    assert "# mine" in (run / "run.sh").read_text()


def test_write_run__another_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RenderError, match="exists and is no run directory"):
        write_run(files(), tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "x"


def test_write_run__a_failure_leaves_nothing_behind(tmp_path):
    blocked = tmp_path / "jobs"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(RenderError, match="cannot be written"):
        write_run(files(), blocked / "mantle")
    assert [p.name for p in tmp_path.iterdir()] == ["jobs"]


def test_write_run__a_name_that_is_too_long_for_the_disk(tmp_path):
    broken = {**files(), "x" * 300: files()["run.sh"]}
    with pytest.raises(RenderError, match="nothing was changed"):
        write_run(broken, tmp_path / "mantle")
    assert list(tmp_path.iterdir()) == []
