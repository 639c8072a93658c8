"""`hpctrain render` of a sweep and `hpctrain table`, from the command line."""

import csv
import io
import json
import struct

import pytest
import yaml

from hpctrain.cli import main

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
    "sweep": {"grid": {"train.epochs": [1, 2], "train.seed": [0, 1]}},
}


def write_npy(path, value):
    """An npy file by hand: the job side has no numpy."""
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 16, 16, 16), }".ljust(117) + "\n"
    size = struct.pack("<H", len(head))
    path.write_bytes(b"\x93NUMPY\x01\x00" + size + head.encode() + struct.pack("<f", value) * 16**3)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for i in range(3):
        write_npy(tmp_path / "data" / f"step{i}.npy", i)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(JOB, sort_keys=False))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv):
    with pytest.raises(SystemExit) as info:
        main(list(argv))
    return info.value.code or 0


@pytest.mark.parametrize(
    ("site", "how", "next_line"),
    [
        ("local", "one script, one after another (there is no queue here)", "jobs/small/run.sh"),
        ("generic-slurm", "one job array (the queue takes", "sbatch jobs/small/run.slurm"),
        ("generic-pbs", "one job array (the queue takes", "qsub jobs/small/run.pbs"),
        ("generic-cobalt", "single jobs (Cobalt has no arrays)", "hpctrain submit jobs/small"),
    ],
)
def test_render__a_sweep_says_how_and_why(folder, capsys, site, how, next_line):
    assert run("render", "small", "--site", site) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"jobs/small: written for site {site}: 4 points as {how}")
    assert out[1] == f"next: {next_line}"
    assert run("render", "small", "--site", site) == 0
    assert capsys.readouterr().out.startswith("jobs/small: nothing changed\n")


def test_render__a_wrong_point_is_one_clear_message(folder, capsys):
    assert run("render", "small", "--set", 'sweep.grid={"train.epochs": [1, none]}') == 2
    err = capsys.readouterr().err
    assert 'sweep point 002 (train.epochs="none", train.seed=0)' in err
    assert "train.epochs: found the text 'none'; allowed: a whole number" in err
    assert not (folder / "jobs").exists()


@pytest.mark.parametrize("key", ["name", "site", "sweep.how", "", "a..b", "epochs"])
def test_render__keys_that_no_point_may_set(folder, capsys, key):
    assert run("render", "small", "--set", f"sweep={json.dumps({'grid': {key: [1, 2]}})}") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_table__for_people_and_programs(folder, capsys):
    run("render", "small")
    run("table", "small")  # nothing ran yet
    state = folder / "jobs" / "small" / "points" / "002" / "state.json"
    state.write_text('{"status": "finished", "loss": 0.5}')
    capsys.readouterr()
    assert run("table", "small", "--sort", "loss") == 0
    head, first, *rest = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["name", "epochs", "seed", "state"]
    assert first.split()[:4] == ["002", "2", "0", "finished"]
    assert len(rest) == 3
    assert run("table", "jobs/small", "--json", "--sort", "name", "--reverse") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["003", "002", "001", "000"]
    assert run("table", "small", "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[2]["loss"] == "0.5"
    assert rows[1]["loss"] == ""


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nowhere"], "nowhere: no such run directory"),
        ([""], "no run directory in it"),
        (["data"], "no run directory in it"),
        (["small", "--sort", "x"], "--sort: unknown column 'x'"),
        (["small", "--csv", "--json"], "exclude each other"),
    ],
)
def test_table__bad_input(folder, capsys, argv, words):
    run("render", "small")
    assert run("table", *argv) == 2
    assert words in capsys.readouterr().err


def test_table__in_the_folder_itself_and_without_the_values(folder, capsys, monkeypatch):
    run("render", "small")
    (folder / "jobs" / "small" / "sweep.csv").unlink()
    monkeypatch.chdir(folder / "jobs" / "small")
    capsys.readouterr()
    assert run("table", ".", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["000", "001", "002", "003"]
    assert len({str(row["train.seed"]) for row in rows}) > 1


def test_aligned__lists_are_words():
    from hpctrain.cli.table import aligned

    text = aligned([{"filesystems": ["home", "eagle"]}, {"filesystems": []}])
    assert text.splitlines() == ["filesystems", "home,eagle", "-"]
