"""Trainings longer than their walltime on a real Slurm: all chains at once, then one test each.

A walltime of one minute is the shortest that Slurm has; it looks at limits every 30 s, so that its
warning comes 30 to 60 s after the start here. The trainer leaves by itself 30 s before the end.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.mpi.test_resume import assert_equal_bits
from tests.integration.slurm.cluster import ENDED, Cluster
from tests.integration.slurm.jobs import (
    ALONE,
    ENDLESS,
    current_job,
    finish,
    has_begun,
    log,
    processes_of,
    render,
    state,
    submit,
)
from tests.requires import requires
from tests.runs import SmallRun, slow, wait_until

pytestmark = requires(slurm=True, mpi=True, horovod=True)

MINUTE = ("resources.walltime='00:01:00'", "launch.warning_s=1")
LONG = ("train.epochs=14", "train.validate_every_epochs=14")
"""70 steps; where each lasts 0.8 s a job makes 32 of them at most."""
STEPS = 70
VICTIM = ("--partition=scavenge", "--gres=gpu:8", "--nodelist=ht02")
SCAVENGE = (
    *("resources.queue=scavenge", "resources.walltime='00:10:00'", "chain.max_jobs=3"),
    "train.checkpoints.every_steps=2",
    f"resources.directives={[*VICTIM[1:]]}",
)
SRUN = ("launch.launcher=srun", "launch.comm=ddp")


@dataclass(frozen=True)
class Chains:
    """Runs that were handed in one after the other and go on side by side."""

    requeued: Path
    resubmitted: Path
    preempted: Path
    bounded: Path
    stuck: Path
    warned: Path


@pytest.fixture(scope="module")
def chains(cluster: Cluster, small: SmallRun) -> Chains:
    def start(name: str, *settings: str) -> Path:
        run = render(small, *MINUTE, *settings, name=name)
        submit(cluster, run)
        # one at a time: starting costs all cores, and a minute is short
        wait_until(lambda: has_begun(run) or name == "stuck", 60)
        return run

    return Chains(
        start(
            "requeued",
            *cluster.two_ranks,
            *LONG,
            *slow(0.8),
            *SRUN,
            "chain={max_jobs: 8, how: requeue}",
        ),
        start("resubmitted", *cluster.two_ranks, *LONG, *slow(0.8), "chain.max_jobs=8"),
        preempt(cluster, start("preempted", *ALONE, "train.epochs=6", *slow(0.8), *SCAVENGE)),
        start("bounded", *ALONE, *ENDLESS, *slow(0.5), "chain.max_jobs=2"),
        start("stuck", *ALONE, *ENDLESS, *slow(100), "chain.max_jobs=3"),
        warned_by_slurm_alone(cluster, small),
    )


def preempt(cluster: Cluster, run: Path) -> Path:
    """Let a job of higher rank take the GPUs that a run has asked for; it begins anew later."""
    done = cluster.run("sbatch", *VICTIM[1:], "--output=/dev/null", "--wrap=sleep 1")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: cluster.state(current_job(run)) != "RUNNING", 20)
    return run


def warned_by_slurm_alone(cluster: Cluster, small: SmallRun) -> Path:
    """A run whose trainer and whose script know nothing of the end: only Slurm's signal is left."""
    run = render(small, *ALONE, *ENDLESS, *slow(0.2), *MINUTE, name="warned")
    script = run / "run.slurm"
    text, count = re.subn(
        r"(?m)^deadline=.*", "deadline=$(($(date +%s) + 3600))", script.read_text()
    )
    assert count == 1
    script.write_text(text)
    submit(cluster, run)
    return run


def chain_log(run: Path) -> list[list[str]]:
    """number, job id, exit code, saved step and what happened of each job of a chain."""
    path = run / "chain.log"
    return [line.split("\t")[1:] for line in path.read_text().splitlines()] if path.exists() else []


def trained_steps(run: Path) -> list[int]:
    lines = (run / "logs" / "metrics.jsonl").read_text().splitlines()
    return [line["step"] for line in map(json.loads, lines) if line["kind"] == "train"]


def is_over(run: Path) -> bool:
    links = chain_log(run)
    return bool(links) and not re.match("goes on|requeued", links[-1][-1])


def jobs_in_queue(cluster: Cluster, run: Path) -> str:
    return cluster.run("squeue", "--noheader", f"--name={run.name}").stdout


def wait_for_end(cluster: Cluster, run: Path, seconds: float) -> list[list[str]]:
    wait_until(lambda: is_over(run), seconds)
    wait_until(lambda: not jobs_in_queue(cluster, run), 30)
    return chain_log(run)


def assert_equals_one_long_job(
    cluster: Cluster, small: SmallRun, run: Path, links: list[list[str]], *settings: str
) -> None:
    assert len(links) >= 3, links
    assert [link[0] for link in links] == [str(n + 1) for n in range(len(links))]
    steps = [int(link[3]) for link in links]
    assert steps == sorted(set(steps))
    assert (links[-1][2], links[-1][3], links[-1][4]) == ("0", str(STEPS), "finished")
    assert {link[2] for link in links[:-1]} == {"75"}
    assert state(run)["status"] == "finished"
    whole = render(small, *cluster.two_ranks, *LONG, *slow(0), *settings, name="whole")
    finish(cluster, whole)
    assert_equal_bits(whole, run)


def test_chain__scancel_ends_it(cluster: Cluster, small: SmallRun) -> None:
    time = ("resources.walltime='00:05:00'", "chain.max_jobs=3")
    run = render(small, *cluster.two_ranks, *ENDLESS, *slow(0.05), *time)
    job_id = submit(cluster, run)
    wait_until(lambda: has_begun(run, 3), 180)
    cluster.run("scancel", job_id)
    assert cluster.wait(job_id)["JobState"] == "CANCELLED"
    wait_until(lambda: not processes_of(run), 60)
    assert not jobs_in_queue(cluster, run)
    assert current_job(run) == job_id
    # Slurm ends the launcher's daemons, too, so that not every launcher leaves time to save
    assert state(run)["status"] in ("stopped", "failed"), log(run)
    assert not any(re.match("finished|goes on", link[4]) for link in chain_log(run)), log(run)


def test_chain__followers_wait_for_its_last_job(
    cluster: Cluster, small: SmallRun, chains: Chains
) -> None:
    run = render(small, *ALONE, *ENDLESS, *slow(0.2), *MINUTE, "chain.max_jobs=2", name="parent")
    first = submit(cluster, run)
    child = render(small, *ALONE, f"after={{{run.name}: any}}", name="child")
    waiting = submit(cluster, child)
    wait_until(lambda: len(chain_log(run)) == 1, 120)
    cluster.wait(first, *ENDED)
    second = current_job(run)
    assert second != first
    assert cluster.job(waiting)["Dependency"].startswith(f"afterany:{second}")
    assert cluster.state(waiting) == "PENDING"
    cluster.run("scancel", second)
    assert cluster.wait(waiting)["JobState"] == "COMPLETED"


def test_chain__bounded_count(cluster: Cluster, chains: Chains) -> None:
    links = wait_for_end(cluster, chains.bounded, 200)
    assert [link[2] for link in links] == ["75", "75"], log(chains.bounded)
    assert links[-1][4] == "it was the last of chain.max_jobs: 2"
    assert int(links[1][3]) > int(links[0][3]) > 0


def test_chain__none_without_a_step(cluster: Cluster, chains: Chains) -> None:
    (link,) = wait_for_end(cluster, chains.stuck, 150)
    assert link[4] == "no step was saved since the job began", log(chains.stuck)
    assert state(chains.stuck)["status"] == "failed"


def test_time_limit__slurms_warning_alone_saves(cluster: Cluster, chains: Chains) -> None:
    run = chains.warned
    job = cluster.wait(current_job(run))
    assert job["ExitCode"] == "75:0", log(run)
    found = state(run)
    assert (found["status"], found["saved_step"]) == ("stopped", found["global_step"])
    assert found["stop_reason"] in ("signal SIGUSR1", "the file STOP")


def test_chain__resubmitted_equals_one_long_job(
    cluster: Cluster, small: SmallRun, chains: Chains
) -> None:
    run = chains.resubmitted
    links = wait_for_end(cluster, run, 300)
    assert len({link[1] for link in links}) == len(links)
    submitted = [line.split("\t") for line in (run / "submitted.log").read_text().splitlines()]
    assert [how for _, how, _ in submitted] == ["submit", *["chain"] * (len(links) - 1)]
    assert [job_id for *_, job_id in submitted] == [link[1] for link in links]
    assert_equals_one_long_job(cluster, small, run, links)


def test_chain__requeued_equals_one_long_job(
    cluster: Cluster, small: SmallRun, chains: Chains
) -> None:
    run = chains.requeued
    links = wait_for_end(cluster, run, 300)
    assert {link[1] for link in links} == {current_job(run)}
    assert_equals_one_long_job(cluster, small, run, links, *SRUN)


def test_preempted__slurm_alone_starts_it_again(cluster: Cluster, chains: Chains) -> None:
    run = chains.preempted
    job_id = current_job(run)
    job = cluster.wait(job_id, "COMPLETED", "FAILED", "CANCELLED", seconds=200)
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1"), log(run)
    assert "resuming from state_" in log(run)
    assert trained_steps(run) == list(range(1, 31))
    assert (run / "submitted.log").read_text().count("\n") == 1
    assert chain_log(run)[-1][2:] == ["0", "30", "finished"]
