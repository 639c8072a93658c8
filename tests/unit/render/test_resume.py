from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from hpctrain.errors import RenderError
from hpctrain.render.resume import find_origin, take_checkpoint


def run_with(path: Path, *names: str) -> Path:
    (path / "checkpoints").mkdir(parents=True)
    (path / "manifest.json").write_text('{"files": {}}')
    for name in names:
        (path / "checkpoints" / name).write_bytes(name.encode())
    if names:
        (path / "checkpoints" / "latest").symlink_to(names[-1])
    return path


def test_take_checkpoint__copies_the_newest_and_says_from_where(tmp_path: Path) -> None:
    old = run_with(tmp_path / "old", "state_1.pt", "state_2_step_4.pt")
    new = run_with(tmp_path / "new")
    for _ in range(2):  # the second time changes nothing
        assert take_checkpoint(find_origin(old), new) == "state_2_step_4.pt"
        assert sorted(os.listdir(new / "checkpoints")) == ["latest", "state_2_step_4.pt"]
        assert os.readlink(new / "checkpoints" / "latest") == "state_2_step_4.pt"
    page = json.loads((new / "manifest.json").read_text())
    assert page["resumed_from"] == {
        "run": str(old),
        "checkpoint": "state_2_step_4.pt",
        "sha256": hashlib.sha256(b"state_2_step_4.pt").hexdigest(),
    }
    assert page["files"] == {}


def test_take_checkpoint__again_takes_a_newer_one(tmp_path: Path) -> None:
    old, new = run_with(tmp_path / "old", "state_1.pt"), run_with(tmp_path / "new")
    take_checkpoint(find_origin(old), new)
    add(old, "state_2.pt")
    take_checkpoint(find_origin(old), new)
    assert sorted(os.listdir(new / "checkpoints")) == ["latest", "state_2.pt"]


def test_take_checkpoint__a_run_with_its_own_is_refused(tmp_path: Path) -> None:
    old, new = run_with(tmp_path / "old", "state_9.pt"), run_with(tmp_path / "new", "state_1.pt")
    with pytest.raises(RenderError, match=r"new: has checkpoints of its own \(state_1.pt\).*--as"):
        take_checkpoint(find_origin(old), new)
    assert (new / "checkpoints" / "latest").read_bytes() == b"state_1.pt"


def add(run: Path, name: str) -> None:
    """A newer checkpoint."""
    (run / "checkpoints" / name).write_bytes(name.encode())
    (run / "checkpoints" / "latest").unlink()
    (run / "checkpoints" / "latest").symlink_to(name)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"status": "failed", "epoch": 1, "global_step": 9}, "new: has trained since it was given"),
        ({"status": "running", "host": "elsewhere"}, "new: is at work since it was given"),
    ],
)
def test_take_checkpoint__a_newer_one_is_not_given_to_a_run_that_has_begun(
    tmp_path: Path, state: dict[str, object], expected: str
) -> None:
    old, new = run_with(tmp_path / "old", "state_1.pt"), run_with(tmp_path / "new")
    take_checkpoint(find_origin(old), new)
    (new / "state.json").write_text(json.dumps(state))
    assert take_checkpoint(find_origin(old), new) == "state_1.pt", "the same changes nothing"
    add(old, "state_2.pt")
    with pytest.raises(RenderError, match=rf"{expected} state_1.pt, .* lose .*state_2.pt.*--as"):
        take_checkpoint(find_origin(old), new)
    assert sorted(os.listdir(new / "checkpoints")) == ["latest", "state_1.pt"]


def test_take_checkpoint__a_start_that_made_no_step_is_no_work(tmp_path: Path) -> None:
    old, new = run_with(tmp_path / "old", "state_1.pt"), run_with(tmp_path / "new")
    take_checkpoint(find_origin(old), new)
    (new / "state.json").write_text('{"status": "failed", "exit_code": 5}')
    add(old, "state_2.pt")
    assert take_checkpoint(find_origin(old), new) == "state_2.pt"


def test_find_origin__without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="has no checkpoint to go on from"):
        find_origin(run_with(tmp_path / "old"))
