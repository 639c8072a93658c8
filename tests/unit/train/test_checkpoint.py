from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from hpctrain.errors import CheckpointError
from hpctrain.train.checkpoint import VERSION, CheckpointFolder, load


def folder(path: Path, keep_last: int = 3) -> CheckpointFolder:
    return CheckpointFolder(path / "checkpoints", keep_last)


def state(value: float) -> dict[str, object]:
    return {"models": {"m": {"w": torch.full((64, 64), value)}}}


def test_save__names_links_and_prunes(tmp_path: Path) -> None:
    checkpoints = folder(tmp_path, keep_last=2)
    for epoch, step in ((1, 0), (2, 0), (2, 7), (2, 8), (2, 9), (10, 0)):
        checkpoints.save(state(epoch), epoch, step)
    kept = ["state_2.pt", "state_2_step_8.pt", "state_2_step_9.pt", "state_10.pt"]
    assert checkpoints.names() == kept
    assert os.readlink(checkpoints.path / "latest") == "state_10.pt"
    assert sorted(os.listdir(checkpoints.path)) == sorted([*kept, "latest"])


def test_names__mid_epoch_comes_after_its_epoch(tmp_path: Path) -> None:
    checkpoints = folder(tmp_path)
    for epoch, step in ((2, 0), (1, 7), (1, 0)):
        checkpoints.save(state(epoch), epoch, step)
    assert checkpoints.names() == ["state_1.pt", "state_1_step_7.pt", "state_2.pt"]


def test_load_newest__nothing_there(tmp_path: Path) -> None:
    assert folder(tmp_path).load_newest() is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_load_newest__torn_falls_back(tmp_path: Path, share: float) -> None:
    checkpoints = folder(tmp_path)
    checkpoints.save(state(1.0), 1, 0)
    checkpoints.save(state(2.0), 2, 0)
    newest = checkpoints.path / "state_2.pt"
    newest.write_bytes(newest.read_bytes()[: int(share * newest.stat().st_size)])
    found = checkpoints.load_newest()
    assert found is not None
    assert found[0] == "state_1.pt"
    assert found[1]["models"]["m"]["w"][0, 0] == 1.0


def test_load__one_flipped_bit_is_found(tmp_path: Path) -> None:
    checkpoints = folder(tmp_path)
    checkpoints.save(state(1.0), 1, 0)
    path = checkpoints.path / "state_1.pt"
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        record = max(archive.infolist(), key=lambda info: info.file_size)
    data[record.header_offset + record.file_size // 2] ^= 4
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="altered or torn"):
        load(path)


def test_load_newest__none_whole_is_an_error(tmp_path: Path) -> None:
    checkpoints = folder(tmp_path)
    checkpoints.save(state(1.0), 1, 0)
    (checkpoints.path / "state_1.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="none of 1 checkpoints is whole"):
        checkpoints.load_newest()


def test_load__newer_version(tmp_path: Path) -> None:
    path = tmp_path / "state_1.pt"
    torch.save({"version": VERSION + 1}, path)
    with pytest.raises(CheckpointError, match="newer hpctrain"):
        load(path)


def test_load__executes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state_1.pt"
    torch.save({"version": VERSION, "bad": os.system}, path)
    with pytest.raises(CheckpointError):
        load(path)


def test_save__unwritable_folder_keeps_the_old(tmp_path: Path) -> None:
    checkpoints = folder(tmp_path)
    checkpoints.save(state(1.0), 1, 0)
    (checkpoints.path / ".state_2.pt.tmp").mkdir()  # open() for writing fails on it
    with pytest.raises((CheckpointError, OSError)):
        checkpoints.save(state(2.0), 2, 0)
    found = checkpoints.load_newest()
    assert found is not None
    assert found[0] == "state_1.pt"


def test_save__keep_every_keeps_for_good(tmp_path: Path) -> None:
    checkpoints = CheckpointFolder(tmp_path / "checkpoints", keep_last=1, keep_every=2)
    for epoch, step in ((1, 0), (2, 0), (2, 2), (3, 0), (4, 0), (5, 0), (5, 2)):
        checkpoints.save(state(epoch), epoch, step)
    assert checkpoints.names() == ["state_2.pt", "state_4.pt", "state_5.pt", "state_5_step_2.pt"]


def test_save__takes_away_what_a_killed_write_left(tmp_path: Path) -> None:
    checkpoints = folder(tmp_path)
    checkpoints.path.mkdir()
    (checkpoints.path / ".state_1_step_3.pt.tmp").write_bytes(b"half")
    checkpoints.save(state(1.0), 1, 0)
    assert sorted(os.listdir(checkpoints.path)) == ["latest", "state_1.pt"]


def test_best__is_kept_until_a_better_one(tmp_path: Path) -> None:
    checkpoints = folder(tmp_path, keep_last=1)
    for epoch, value, is_best in ((1, 3.0, True), (2, 2.0, True), (3, 2.5, False)):
        checkpoints.save(state(epoch), epoch, 0)
        assert checkpoints.keep_best(epoch, "validation/x", value) is is_best
    assert checkpoints.names() == ["state_3.pt"], "best.pt outlives the file that it was"
    kept = load(checkpoints.path / "best.pt")
    assert float(kept["models"]["m"]["w"][0, 0]) == 2
    assert checkpoints.best() == {"metric": "validation/x", "value": 2.0, "epoch": 2}


def test_best__of_another_metric_begins_anew(tmp_path: Path) -> None:
    checkpoints = folder(tmp_path)
    for epoch in (1, 2):
        checkpoints.save(state(epoch), epoch, 0)
    assert checkpoints.keep_best(1, "validation/x", 1.0)
    assert checkpoints.keep_best(2, "validation/y", 5.0)
    assert not checkpoints.keep_best(2, "validation/y", float("nan"))
    assert not checkpoints.keep_best(7, "validation/y", 0.0), "epoch 7 was not saved"


@pytest.mark.parametrize(("at", "epoch"), [(1, 1), (2, 2)])
def test_best__killed_between_its_files(tmp_path: Path, at: int, epoch: int) -> None:
    """Killed before a rename: best.pt is what best.json says, and no worse epoch replaces it."""
    program = f"""
import os, signal
from pathlib import Path
from tests.unit.train.test_checkpoint import folder, state
checkpoints = folder(Path({str(tmp_path)!r}), keep_last=1)
for epoch, value in ((1, 3.0), (2, 2.0)):
    checkpoints.save(state(epoch), epoch, 0)
    if epoch == 2:
        calls, replace = [], Path.replace
        def count(self, target):
            calls.append(target)
            if len(calls) == {at}:
                os.kill(os.getpid(), signal.SIGKILL)
            return replace(self, target)
        Path.replace = count
    checkpoints.keep_best(epoch, "validation/x", value)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL
    checkpoints = folder(tmp_path, keep_last=1)
    found = checkpoints.load_newest()
    assert found is not None
    assert found[0] == "state_2.pt"
    assert checkpoints.best() == {"metric": "validation/x", "value": 4.0 - epoch, "epoch": epoch}
    assert float(load(checkpoints.path / "best.pt")["models"]["m"]["w"][0, 0]) == epoch
    checkpoints.save(state(3), 3, 0)
    assert checkpoints.keep_best(3, "validation/x", 2.5) is (epoch == 1)
    assert not list(checkpoints.path.glob(".best.pt*"))


def test_best__replaced_by_another_file_begins_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = folder(tmp_path)
    for epoch in (1, 2):
        checkpoints.save(state(epoch), epoch, 0)
    checkpoints.keep_best(1, "validation/x", 1.0)
    shutil.copyfile(checkpoints.path / "best.pt", tmp_path / "copy.pt")
    (tmp_path / "copy.pt").replace(checkpoints.path / "best.pt")
    assert not checkpoints.keep_best(2, "validation/x", 2.0), "a copy is the same"
    (checkpoints.path / "best.pt").unlink()
    shutil.copyfile(checkpoints.path / "state_2.pt", checkpoints.path / "best.pt")
    assert checkpoints.keep_best(2, "validation/x", 2.0)
    assert "is not the file that best.json tells of" in caplog.text


def test_best__without_hard_links_is_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    checkpoints = folder(tmp_path)
    checkpoints.save(state(1), 1, 0)
    assert checkpoints.keep_best(1, "validation/x", 1.0)
    assert load(checkpoints.path / "best.pt")["models"]
