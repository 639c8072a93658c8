"""`hpctrain check` of a job with a sweep."""

import pytest
import yaml

from hpctrain.cli import main
from tests.unit.cli.test_render import JOB, write_npy

SWEEP = {"grid": {"train.seed": [1, 2, 3]}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for i in range(3):
        write_npy(tmp_path / "data" / f"step{i}.npy", i, (2, 16, 16, 16))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({**JOB, "sweep": SWEEP}, sort_keys=False))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(argv)
    return info.value.code or 0


@pytest.mark.parametrize("site", ["local", "generic-pbs", "generic-slurm", "generic-cobalt"])
@pytest.mark.parametrize("how", ["auto", "ensemble"])
def test_check__a_sweep_that_fits(folder, capsys, site, how):
    settings = ("--site", site, "--offline", "--set", f"sweep.how={how}")
    settings += ("--set", "sweep.max_running=2", "--set", "resources.ranks_per_node=1")
    assert run("check", "small", *settings) == 0, capsys.readouterr().out
    assert not (folder / "jobs").exists()


def test_check__points_that_do_not_fit_are_named(folder, capsys):
    settings = ("--site", "thetagpu", "--offline", "--set", "resources.account=a")
    grid = "sweep.grid={resources.walltime: ['01:00:00', '13:00:00', '14:00:00']}"
    assert run("check", "small", *settings, "--set", grid) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("error")]) == 6  # of 3 x 3 points
    assert lines[1].endswith('(sweep point 002: train.seed=1, resources.walltime="14:00:00")')
    assert "1 node in full-node allows 12:00:00 at most" in lines[1]


def test_check__points_that_are_no_jobs_and_a_how_that_cannot_be(folder, capsys):
    settings = ("--site", "thetagpu", "--offline", "--set", "sweep.how=array")
    grid = "sweep.grid={train.global_batch_size: [4, 5], train.seed: [0]}"
    assert run("check", "small", *settings, "--set", grid) == 2
    out = capsys.readouterr().out
    assert "5 samples cannot be shared equally by 2 ranks" in out
    assert "sweep.how: found 'array'" in out


def test_check__the_same_point_twice(folder, capsys):
    settings = ("--site", "local", "--offline", "--set", "sweep.grid={train.seed: [1, 1]}")
    assert run("check", "small", *settings) == 2
    assert "points 0 and 1 are the same" in capsys.readouterr().out


def test_check__a_rendered_sweep(folder, capsys):
    assert run("render", "small", "--site", "generic-slurm") == 0
    assert run("check", "jobs/small", "--offline") == 0
    (folder / "jobs" / "small" / "points" / "001" / "rank.sh").unlink()
    script = folder / "jobs" / "small" / "run.slurm"
    script.write_text(script.read_text().replace("#!/bin/bash", "#!/bin/bash\necho early", 1))
    capsys.readouterr()
    assert run("check", "jobs/small", "--offline") == 2
    out = capsys.readouterr().out
    assert "error: 001/rank.sh: is gone since it was rendered" in out
    assert "error: run.slurm:" in out
    assert run("verify", "jobs/small") == 2
    lines = capsys.readouterr().out.splitlines()
    assert "removed: jobs/small/points/001/rank.sh" in lines
    assert "edited: jobs/small/run.slurm" in lines
    assert lines[-1] == "jobs/small: differs from what was rendered, in 1 of 3 points"
    assert not any("points/002" in line for line in lines)
