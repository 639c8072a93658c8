"""state.json and other JSON files of a run."""

import json

import pytest

from hpctrain.errors import TrainError
from hpctrain.train.run import RunState, write_json


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
