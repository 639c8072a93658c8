"""state.json and other JSON files of a run."""

import errno
import json

import pytest

from hpctrain.errors import TrainError
from hpctrain.render import render
from hpctrain.train.run import Run, RunState, write_json
from tests.jobs import inputs, mantle


def test_write_json__a_file_that_cannot_be_replaced_is_named_and_nothing_is_left(tmp_path):
    target = tmp_path / "state.json"
    target.mkdir()
    (target / "full").touch()
    with pytest.raises(TrainError, match=r"state\.json: cannot be written \(.*start the run again"):
        write_json(target, {})
    assert list(tmp_path.iterdir()) == [target]


def test_state__begin_forgets_the_end_of_the_start_before(tmp_path, monkeypatch):
    monkeypatch.setenv("HPCTRAIN_LAUNCH_ID", "now")
    before = {"status": "starting", "epoch": 2, "previous_message": "x", "exit_code": 6}
    (tmp_path / "state.json").write_text(json.dumps(before))
    RunState(tmp_path).begin(epochs=3)
    found = json.loads((tmp_path / "state.json").read_text())
    assert (found["status"], found["launch_id"]) == ("running", "now")
    assert (found["epoch"], found["epochs"]) == (2, 3)
    assert not {"previous_message", "exit_code"} & found.keys()


@pytest.fixture
def run_dir(tmp_path):
    """A run directory that holds only its job."""
    resolved = mantle()
    config = render(resolved.job, resolved.site, inputs())["config.yaml"]
    (tmp_path / "config.yaml").write_bytes(config.content)
    return tmp_path


def test_run__a_folder_that_links_to_a_purged_one(run_dir):
    (run_dir / "checkpoints").symlink_to("/scratch/purged")
    with pytest.raises(TrainError, match=r"checkpoints: links to /scratch/purged, which is not"):
        Run(run_dir)


def test_run__a_file_in_the_place_of_a_folder(run_dir):
    (run_dir / "eval").touch()
    with pytest.raises(TrainError, match=r"eval: is no folder; move that file away"):
        Run(run_dir)


def test_run__a_folder_that_cannot_be_made(run_dir, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(TrainError, match=r"logs: cannot be written \(Read-only file system\)"):
        Run(run_dir)
