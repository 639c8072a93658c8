"""`hpctrain submit` and `cancel` of sweeps."""

from pathlib import Path

import pytest

from hpctrain.cli import main
from hpctrain.index import Index
from hpctrain.schedulers.records import current_jobs, followers
from hpctrain.sweep import write_sweep
from tests.jobs import inputs, mantle
from tests.queues import handed_in, set_state

COUNT = (
    'n=$(wc -l <"$0.n" 2>/dev/null || echo 0); echo x >>"$0.n"; '
    'echo "Submitted batch job $((n + 100))"'
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sweep(tmp_path):
    """Writes jobs/s with three points."""

    def make(*settings: str) -> Path:
        resolved = mantle(
            *("generic-slurm", "name=s", "sweep={grid: {train.seed: [1, 2, 3]}}", *settings)
        )
        target = tmp_path / "jobs" / "s"
        target.parent.mkdir(exist_ok=True)
        index = Index(tmp_path, (), {})
        write_sweep(resolved, inputs(str(target)), target, lambda job: index)
        return target

    return make


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(argv)
    return info.value.code or 0


def jobs(folder) -> list[str]:
    return [event.job_id for event in current_jobs(folder)]


def test_submit__an_array_is_one_job_and_each_point_an_element(programs, sweep, capsys):
    programs("sbatch", COUNT)
    folder = sweep("sweep.how=array")
    assert run("submit", "--no-check", "s") == 0
    assert capsys.readouterr().out == "jobs/s: handed in as job 100\n"
    assert jobs(folder) == ["100"]
    assert [jobs(folder / "points" / f"00{n}") for n in range(3)] == [
        ["100_0"],
        ["100_1"],
        ["100_2"],
    ]


def test_submit__a_sweep_only_once(programs, sweep, capsys):
    programs("sbatch", COUNT)
    programs("squeue", "echo '100_[0-2]|PENDING|0||||Priority|'")
    sweep("sweep.how=array")
    assert run("submit", "--no-check", "s") == 0
    assert run("submit", "--no-check", "s") == 4
    assert "jobs/s: job 100 is waiting already" in capsys.readouterr().err


def test_submit__throttled_points_stand_behind_each_other(programs, sweep):
    calls = programs("sbatch", COUNT)
    folder = sweep("sweep.how=throttled", "sweep.max_running=2")
    assert run("submit", "--no-check", "s") == 0
    first, second, third = calls.read_text().splitlines()
    assert "--dependency" not in first + second
    assert third.startswith("--dependency=afterany:100 ")
    assert jobs(folder / "points" / "002") == ["102"]


def test_submit__a_sweep_waits_for_another_run(programs, sweep, runs):
    calls = programs("sbatch", COUNT)
    programs("squeue", "echo '77|RUNNING|0||||None|'")
    other = runs("other")
    handed_in(other, "submit 77")
    sweep("sweep.how=array", "after={other: ok}")
    assert run("submit", "--no-check", "s") == 0
    assert "--dependency=afterok:77" in calls.read_text()
    assert followers(other) == [("100", "ok")]


def test_submit__throttled_points_wait_for_another_run(programs, sweep, runs):
    calls = programs("sbatch", COUNT)
    programs("squeue", "echo '77|RUNNING|0||||None|'")
    handed_in(runs("other"), "submit 77")
    sweep("sweep.how=throttled", "after={other: ok}")
    assert run("submit", "--no-check", "s") == 0
    assert all("afterok:77" in line for line in calls.read_text().splitlines())


def test_cancel__a_whole_sweep(programs, sweep, capsys):
    programs("sbatch", COUNT)
    programs("squeue", 'for n in 100 101 102; do echo "$n|PENDING|0||||Priority|"; done')
    calls = programs("scancel")
    sweep("sweep.how=throttled")
    run("submit", "--no-check", "s")
    assert run("cancel", "s") == 0
    assert calls.read_text().split() == ["100", "101", "102"]


def test_status__of_a_sweep_shows_its_points(sweep, capsys):
    set_state(sweep("sweep.how=array") / "points" / "001", status="finished")
    assert run("status", "s") == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["000", "rendered"],
        ["001", "finished"],
        ["002", "rendered"],
    ]
