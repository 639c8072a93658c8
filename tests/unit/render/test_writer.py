"""Run directories on disk."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hpctrain.errors import RenderError
from hpctrain.render import CodeTree, render, write_run
from hpctrain.render.existing import edited_files
from tests.jobs import inputs, mantle


def files(*settings: str, **code: object):
    resolved, given = mantle("local", *settings), inputs()
    if code:
        given = replace(given, code=CodeTree(**{"files": given.code.files, **code}))
    return render(resolved.job, resolved.site, given)


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


def test_write_run__files_of_the_user_move_over(run):
    (run / "hpctrain.sif").write_bytes(b"an image")
    (run / "notes" / "deep").mkdir(parents=True)
    (run / "notes" / "deep" / "a.txt").write_text("mine")
    (run / "empty").mkdir()
    (run / "code" / "extra.py").write_text("x = 1")
    (run / "link").symlink_to("/nowhere")
    assert write_run(files("train.epochs=9"), run) == "replaced"
    assert "epochs: 9" in (run / "config.yaml").read_text()
    assert (run / "hpctrain.sif").read_bytes() == b"an image"
    assert (run / "notes" / "deep" / "a.txt").read_text() == "mine"
    assert (run / "empty").is_dir()
    assert (run / "code" / "extra.py").read_text() == "x = 1"
    assert (run / "link").is_symlink()
    assert [p.name for p in run.parent.iterdir()] == ["mantle"]


def test_write_run__a_folder_on_another_disk_stays_a_link(run, tmp_path):
    (tmp_path / "scratch").mkdir()
    (run / "checkpoints").rmdir()
    (run / "checkpoints").symlink_to(tmp_path / "scratch")
    assert write_run(files("train.epochs=9"), run) == "replaced"
    assert (run / "checkpoints").readlink() == tmp_path / "scratch"


@pytest.mark.parametrize("own", ["code/user", "code/user/losses.py", "code/user/losses.py/x"])
def test_write_run__a_file_of_the_user_in_the_way_is_refused(run, own):
    (run / own).parent.mkdir(parents=True, exist_ok=True)
    (run / own).write_text("mine")
    code = {**inputs().code.files, "user/losses.py": b"theirs"}
    with pytest.raises(RenderError, match="was not written by render, and would be replaced"):
        write_run(files("train.epochs=9", files=code), run)
    assert (run / own).read_text() == "mine"
    assert "epochs: 10" in (run / "config.yaml").read_text()


def test_write_run__files_that_cannot_move_leave_all_as_it_was(run, monkeypatch):
    (run / "hpctrain.sif").write_bytes(b"an image")
    before, rename = snapshot(run), Path.rename

    def fail_at_the_image(self: Path, goal: Path) -> Path:
        if self.name == "hpctrain.sif":
            raise OSError(5, "Input/output error")
        return rename(self, goal)

    monkeypatch.setattr(Path, "rename", fail_at_the_image)
    with pytest.raises(RenderError, match="nothing was changed"):
        write_run(files("train.epochs=9"), run)
    assert snapshot(run) == before
    assert [p.name for p in run.parent.iterdir()] == ["mantle"]


@pytest.mark.parametrize("code", [{"revision": "def456"}, {"revision": "abc123", "diff": b"+x"}])
def test_write_run__another_revision_of_the_same_code_changes_nothing(run, code):
    (run / "state.json").write_text('{"status": "running"}')
    before = snapshot(run)
    assert write_run(files(**code), run) == "unchanged"
    assert snapshot(run) == before


@pytest.mark.parametrize(
    ("settings", "code", "named"),
    [
        (("train.epochs=9",), {}, r"\(config\.yaml\)"),
        (("launch.env={A: b}",), {}, r"\(config\.yaml, run\.sh\)"),
        ((), {"files": {"hpctrain/__init__.py": b"x"}}, r"\(code/hpctrain/__init__\.py, code/.*"),
    ],
)
def test_write_run__the_refusal_names_what_differs(run, settings, code, named):
    (run / "state.json").write_text('{"status": "running"}')
    with pytest.raises(RenderError, match=f"the job has changed since it was rendered {named}"):
        write_run(files(*settings, **code), run)


def test_write_run__what_is_gone_comes_back_and_edits_stay(run):
    (run / "state.json").write_text('{"status": "stopped"}')
    (run / "rank.sh").unlink()
    (run / "code" / "hpctrain" / "py.typed").unlink()
    (run / "logs").rmdir()
    (run / "run.sh").write_text("#!/bin/bash\n# mine\n")
    assert write_run(files(), run) == "restored"
    assert (run / "rank.sh").read_bytes() == files()["rank.sh"].content
    assert (run / "rank.sh").stat().st_mode & 0o111
    assert (run / "code" / "hpctrain" / "py.typed").is_file()
    assert (run / "logs").is_dir()
    assert "# mine" in (run / "run.sh").read_text()
    assert "stopped" in (run / "state.json").read_text()
    assert write_run(files(), run) == "unchanged"
