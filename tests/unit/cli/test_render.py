"""`hpctrain render`, from a job file and real input files to a run directory."""

import json
import struct
import sys
from pathlib import Path

import pytest
import yaml

from hpctrain.cli import main
from tests.queues import handed_in

JOB = {
    "name": "small",
    "site": "local",
    "resources": {"ranks_per_node": 2, "walltime": "00:10:00"},
    "data": {
        "kind": "fields",
        "root": "data",
        "targets": ["step*.npy"],
        "geometry": "box",
        "validation_steps": 1,
        "crop": [4, 4, 4],
    },
    "train": {"task": "super_resolution", "upscale_factor": 2, "epochs": 1, "global_batch_size": 4},
}


def write_npy(path: Path, value: float, shape: tuple[int, ...]) -> None:
    """An npy file of one value in format 1.0, by hand: the job side has no numpy."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    head = head.ljust(117) + "\n"
    count = 1
    for n in shape:
        count *= n
    path.write_bytes(
        b"\x93NUMPY\x01\x00"
        + struct.pack("<H", len(head))
        + head.encode()
        + struct.pack("<f", value) * count
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for i in range(3):
        write_npy(tmp_path / "data" / f"step{i}.npy", i, (2, 16, 16, 16))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(JOB, sort_keys=False))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def render(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(["render", *argv])
    return info.value.code or 0


def test_render__writes_a_run_directory_and_the_next_command(folder, capsys):
    assert render("small") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("jobs/small: written for site local: 1 x 2 ranks, 2 samples a rank")
    assert out[1] == "next: jobs/small/run.sh"
    run = folder / "jobs" / "small"
    assert json.loads((run / "state.json").read_text()) == {"status": "rendered"}
    assert (run / "index.csv").read_text().count("\n") == 4
    assert (run / "code" / "hpctrain" / "train" / "__main__.py").is_file()
    text = (run / "run.sh").read_text()
    assert f"run={run}" in text
    assert f"{sys.executable} -m hpctrain.train" in text


@pytest.mark.parametrize(
    ("site", "command"),
    [
        ("generic-pbs", "qsub jobs/small/run.pbs"),
        ("generic-slurm", "sbatch jobs/small/run.slurm"),
        ("generic-cobalt", "qsub jobs/small/run.cobalt"),
    ],
)
def test_render__the_command_that_submits(folder, capsys, site, command):
    assert render("small.yaml", "--site", site) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"next: {command}"


def test_render__again_with_nothing_changed(folder, capsys):
    render("small")
    before = {p: p.stat().st_mtime_ns for p in (folder / "jobs").rglob("*")}
    capsys.readouterr()
    assert render("small") == 0
    assert "nothing changed" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in (folder / "jobs").rglob("*")} == before


def test_render__a_started_run_is_kept_and_the_way_out_works(folder, capsys):
    render("small")
    (folder / "jobs" / "small" / "state.json").write_text('{"status": "running"}')
    assert render("small", "--set", "train.epochs=2") == 3
    assert "--as small-2" in capsys.readouterr().err
    assert render("small", "--set", "train.epochs=2", "--as", "small-2") == 0
    assert (
        yaml.safe_load((folder / "jobs" / "small-2" / "config.yaml").read_text())["name"]
        == "small-2"
    )


def test_render__a_name_of_digits_needs_no_quotes(folder, capsys):
    assert render("small", "--as", "2024") == 0
    assert (folder / "jobs" / "2024" / "run.sh").is_file()


@pytest.mark.parametrize("name", ["", ".", "/", "nosuch/"])
def test_render__no_job_of_that_name(folder, capsys, name):
    assert render(name) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_render__a_site_file_leaves_its_name(folder, capsys):
    (folder / "mine.yaml").write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
    )
    assert render("small", "--site", "mine.yaml") == 0
    config = yaml.safe_load((folder / "jobs" / "small" / "config.yaml").read_text())
    assert config["site"] == "mine"
    assert capsys.readouterr().out.endswith("next: sbatch jobs/small/run.slurm\n")


def test_render__another_folder(folder, capsys):
    assert render("small", "--out", "runs") == 0
    assert (folder / "runs" / "small" / "run.sh").is_file()


@pytest.mark.parametrize("name", ["a b", "x/../../y", "$(id)", "a'b", "a\nb", ""])
def test_render__hostile_names_write_nothing(folder, capsys, name):
    code = render("small", "--set", f"name={json.dumps(name)}")
    assert code == 2
    assert "allowed: 1 to 64 letters" in capsys.readouterr().err
    assert not (folder / "jobs").exists()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("data.root=nowhere", "nowhere"),
        ("data.targets=[nothing*.npy]", "nothing*.npy"),
        ("data.crop=[64, 64, 64]", "crop"),
        ("train.global_batch_size=5", "5 samples cannot be shared equally by 2 ranks"),
        ("resources.walltime=7200", 'quote it: walltime: "02:00:00"'),
        ("code=[nowhere]", "code: nowhere: no such folder"),
    ],
)
def test_render__bad_input_is_one_clear_message_and_writes_nothing(folder, capsys, setting, words):
    assert render("small", "--set", setting) in (2, 3)
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert not (folder / "jobs").exists()


def test_render__notes_what_has_no_effect(folder, capsys):
    assert render("small", "--set", "resources.queue=debug") == 0
    assert "note: resources.queue: has no effect on site local" in capsys.readouterr().err


def test_render__users_code_travels_along(folder, capsys):
    (folder / "mine").mkdir()
    (folder / "mine" / "losses.py").write_text("class L1: ...\n")
    assert render("small", "--set", "code=[mine]") == 0
    assert (folder / "jobs" / "small" / "code" / "user" / "losses.py").is_file()


def test_render__in_a_folder_with_a_hostile_name(folder, weird_tmp_path, capsys):
    assert render("small", "--out", str(weird_tmp_path)) == 0
    assert (weird_tmp_path / "small" / "run.sh").is_file()
    assert render("small", "--out", str(weird_tmp_path), "--site", "generic-pbs", "--as", "b") == 3
    assert "cannot stand in a directive of pbs" in capsys.readouterr().err


def test_render__an_image_that_is_not_there_is_said(folder, capsys):
    settings = ("--set", "container.image=jobs/small/my image.sif")
    assert render("small", *settings) == 0
    image = folder / "jobs" / "small" / "my image.sif"
    err = capsys.readouterr().err
    assert f"note: container.image: {image}: no such file yet" in err
    assert f"hpctrain container build jobs/small -o '{image}'" in err
    image.write_bytes(b"an image")
    assert render("small", *settings, "--set", "train.epochs=2") == 0
    assert "container.image" not in capsys.readouterr().err
    assert image.read_bytes() == b"an image"


def test_render__images_of_a_registry_are_not_looked_for(folder, capsys):
    assert render("small", "--set", "container.image=docker://a/b:1") == 0
    assert "container.image" not in capsys.readouterr().err


def test_render__files_that_are_gone_come_back(folder, capsys):
    render("small")
    (folder / "jobs" / "small" / "rank.sh").unlink()
    capsys.readouterr()
    assert render("small") == 0
    assert "nothing changed; what was missing is written again" in capsys.readouterr().out
    assert (folder / "jobs" / "small" / "rank.sh").is_file()


def test_render__never_changes_files_under_a_queued_job(folder, programs, capsys):
    programs("squeue", "echo '100|PENDING|0||||Priority|'")
    assert render("small", "--site", "generic-slurm") == 0
    target = folder / "jobs" / "small"
    handed_in(target, "submit 100")
    before = (target / "config.yaml").read_text()
    assert render("small", "--site", "generic-slurm") == 0  # nothing changed
    again = ("small", "--site", "generic-slurm", "--set", "train.epochs=9")
    assert render(*again) == 3
    assert "jobs/small: job 100 is waiting, and would find other files" in capsys.readouterr().err
    assert (target / "config.yaml").read_text() == before
    programs("squeue", "echo '100|CANCELLED|0||||None|'")
    assert render(*again) == 0


def test_resume_from__copies_the_checkpoint_and_warns_of_what_will_be_refused(folder, capsys):
    assert render("small.yaml", "--as", "a") == 0
    checkpoints = folder / "jobs" / "a" / "checkpoints"
    (checkpoints / "state_1.pt").write_bytes(b"1")
    (checkpoints / "latest").symlink_to("state_1.pt")
    capsys.readouterr()

    ranks = ("--set", "resources.ranks_per_node=1", "--set", "train.precision=float32")
    assert render("small.yaml", "--as", "b", *ranks, "--resume-from", "jobs/a") == 0
    out, err = capsys.readouterr()
    assert "jobs/b: begins with state_1.pt of jobs/a" in out
    assert "warning" not in err
    assert (folder / "jobs" / "b" / "checkpoints" / "latest").read_bytes() == b"1"

    longer = ("--set", "train.epochs=3", "--as", "c")
    assert render("small.yaml", *longer, "--resume-from", "a") == 0
    err = capsys.readouterr().err
    assert "warning: --resume-from: epochs 1 -> 3: the trainer will refuse" in err
    assert "--allow-schedule-change" in err


def test_resume_from__a_run_without_checkpoint_writes_nothing(folder, capsys):
    assert render("small.yaml", "--as", "a") == 0
    assert render("small.yaml", "--as", "b", "--resume-from", "a") == 3
    assert "has no checkpoint to go on from" in capsys.readouterr().err
    assert not (folder / "jobs" / "b").exists()
