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
    assert "error: jobs/small/points/001/rank.sh: is gone since it was rendered" in out
    assert "error: run.slurm:" in out
    assert run("verify", "jobs/small") == 2
    lines = capsys.readouterr().out.splitlines()
    assert "removed: jobs/small/points/001/rank.sh" in lines
    assert "edited: jobs/small/run.slurm" in lines
    assert lines[-1] == "jobs/small: differs from what was rendered, in 1 of 3 points"
    assert not any("points/002" in line for line in lines)


def test_check__the_line_is_said_once(folder, capsys):
    assert run("check", "small", "--set", "sweep.grid={train.sed: [1]}") == 2
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("error: --set sweep.grid={train.sed: [1]}: sweep point 000 (")
    assert first.count("--set") == 1


def test_check__data_that_vary(folder, capsys):
    settings = ("--site", "local", "--set", "sweep.grid={data.root: [data, nowhere]}")
    assert run("check", "small", *settings) == 2
    out = capsys.readouterr().out
    assert "nowhere does not exist" in out
    assert 'data.root="nowhere")' in out


def test_check__runs_that_a_sweep_waits_for_lie_beside_it(folder, capsys):
    settings = ("--site", "generic-slurm", "--offline", "--set", "after={first: ok}")
    assert run("check", "small", *settings) == 0
    assert f"no run directory {folder}/jobs/first yet" in capsys.readouterr().out
    assert run("render", "small", "--as", "first", "--set", "sweep=null") == 0
    capsys.readouterr()
    assert run("check", "small", *settings) == 0
    assert "after.first" not in capsys.readouterr().out


def test_check__a_sweep_with_points_gone(folder, capsys):
    sweep = folder / "jobs" / "small"
    assert run("render", "small", "--site", "generic-slurm") == 0
    (sweep / "points" / "001").rename(folder / "elsewhere")
    capsys.readouterr()
    assert run("check", "jobs/small", "--offline") == 2
    assert "error: jobs/small/points/001: is gone" in capsys.readouterr().out
    assert run("verify", "small") == 2
    assert "removed: jobs/small/points/001" in capsys.readouterr().out
    assert run("submit", "jobs/small", "--no-check") == 2
    assert "found 2 points of 3; render the sweep again" in capsys.readouterr().err


def test_check__a_sweep_whose_first_manifest_is_gone(folder, capsys):
    assert run("render", "small", "--site", "generic-slurm") == 0
    (folder / "jobs" / "small" / "points" / "000" / "manifest.json").unlink()
    capsys.readouterr()
    assert run("check", "jobs/small", "--offline") == 2
    assert "points/000/manifest.json: cannot be read" in capsys.readouterr().out


def test_check__a_sweep_whose_facts_are_torn(folder, capsys):
    assert run("render", "small", "--site", "generic-slurm") == 0
    (folder / "jobs" / "small" / "sweep.json").write_text('{"how": "array"}')
    capsys.readouterr()
    for words in (("check", "jobs/small"), ("submit", "jobs/small", "--no-check")):
        assert run(*words) == 2
        assert "no sweep.json that can be read" in capsys.readouterr().err
