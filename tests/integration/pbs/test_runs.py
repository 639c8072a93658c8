"""Runs through hpctrain and the PBS stand-in: real scripts, real trainings, one rank."""

import json
import time

import pytest

from tests.runs import wait_until

ONE_RANK = ("resources.ranks_per_node=1", "launch.comm=single")


def render(pbs, small, name: str, *settings: str):
    words = [word for setting in (*ONE_RANK, *settings) for word in ("--set", setting)]
    pbs.hpctrain(
        "render", "small.yaml", "--site", "generic-pbs", "--as", name, *words, cwd=small.folder
    )
    return small.folder / "jobs" / name


def submit(pbs, small, run, *options: str) -> str:
    out = pbs.hpctrain("submit", "--no-check", "--json", str(run), *options, cwd=small.folder)
    return json.loads(out)[0]["job_id"]


def status(run) -> str:
    return json.loads((run / "state.json").read_text())["status"]


def test_submit__trains_to_the_end(pbs, small):
    run = render(pbs, small, "a")
    job_id = submit(pbs, small, run)
    assert pbs.wait(job_id)["Exit_status"] == 0
    assert status(run) == "finished"
    assert (run / "logs" / f"{job_id}.OU").read_text().endswith("a: finished\n")
    assert "finished" in pbs.hpctrain("why", "a", cwd=small.folder)


@pytest.mark.slow
def test_submit__after_another_run(pbs, small):
    first = render(pbs, small, "a")
    second = render(pbs, small, "b", "after={a: ok}")
    first_id = submit(pbs, small, first, "--hold")
    second_id = submit(pbs, small, second)
    assert "job 2.fakepbs is waiting" in pbs.hpctrain("why", "b", cwd=small.folder)
    pbs.hpctrain("release", "a", cwd=small.folder)
    assert pbs.wait(second_id)["Exit_status"] == 0
    assert pbs.job(first_id)["Exit_status"] == 0
    assert status(second) == "finished"


@pytest.mark.slow
def test_chain__over_three_jobs_and_a_follower_moves_along(pbs, small):
    # the trainer leaves after one step, as the time that is left is too short for more
    run = render(
        pbs, small, "c", "chain={max_jobs: 3}", "train.epochs=20", "resources.walltime='00:01:00'"
    )
    script = run / "run.pbs"
    script.write_text(script.read_text().replace("+ 60))", "+ 12))"))
    follower = render(pbs, small, "f", "after={c: any}")
    job_id = submit(pbs, small, run)
    follower_id = submit(pbs, small, follower)
    assert pbs.wait(follower_id, seconds=120)["depend"] != f"afterany:{job_id}"
    rows = [line.split("\t") for line in (run / "chain.log").read_text().splitlines()]
    assert [row[1] for row in rows] == ["1", "2", "3"]
    assert [row[3] for row in rows] == ["75", "75", "75"]
    steps = [int(row[4]) for row in rows]
    assert steps == sorted(set(steps))
    assert rows[-1][5] == "it was the last of chain.max_jobs: 3"
    assert pbs.job(follower_id)["depend"] == f"afterany:{rows[-1][2]}"
    assert "(3 of 3)" in pbs.hpctrain("status", cwd=small.folder)
    assert "raise chain.max_jobs" in pbs.hpctrain("why", "c", cwd=small.folder)


def test_chain__handed_in_at_once_ends_early(pbs, small):
    run = render(pbs, small, "c", "chain={max_jobs: 3, how: presubmit}")
    submit(pbs, small, run)
    wait_until(lambda: pbs.job("3.fakepbs")["job_state"] == "F", 60)
    rows = [line.split("\t") for line in (run / "chain.log").read_text().splitlines()]
    assert [row[5] for row in rows] == ["finished", *["finished before this job began"] * 2]
    assert [pbs.job(f"{n}.fakepbs")["Exit_status"] for n in (1, 2, 3)] == [0, 0, 0]


@pytest.mark.parametrize("save", [True, False])
def test_cancel__ends_a_chain(pbs, small, save):
    run = render(pbs, small, "c", "chain={max_jobs: 3}", "train.epochs=5000")
    job_id = submit(pbs, small, run)
    wait_until(lambda: status(run) == "running", 60)
    time.sleep(1)
    pbs.hpctrain("cancel", *(["--save"] if save else []), "c", cwd=small.folder)
    assert pbs.wait(job_id)["Exit_status"] == (75 if save else 271)
    wait_until(lambda: (run / "chain.log").is_file(), 20)
    time.sleep(0.5)
    assert "2.fakepbs" not in (run / "submitted.log").read_text()
    if save:
        assert status(run) == "stopped"
        assert "stopped by the file STOP" in pbs.hpctrain("why", "c", cwd=small.folder)


def test_submit__refusal(pbs, small):
    run = render(pbs, small, "a", "resources.queue=nowhere")
    done = pbs.call(
        *("env", "python", "-m", "hpctrain", "submit", "--no-check", "a"), cwd=small.folder
    )
    assert done.returncode == 4
    assert "qsub: Unknown queue" in done.stderr
    assert not (run / "submitted.log").exists()


@pytest.mark.slow
def test_sweep__array_of_two_points(pbs, small):
    folder = render(pbs, small, "s", "sweep={grid: {train.seed: [1, 2]}, how: array}")
    assert submit(pbs, small, folder) == "1[].fakepbs"
    pbs.wait("1[].fakepbs")
    points = [folder / "points" / name for name in ("000", "001")]
    assert [status(point) for point in points] == ["finished", "finished"]
    for number, point in enumerate(points):
        assert f"submit\t1[{number}].fakepbs" in (point / "submitted.log").read_text()
