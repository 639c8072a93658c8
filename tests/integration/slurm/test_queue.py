"""Submit, wait, look, cancel, and what Slurm does to a job, with real sbatch, squeue, scancel."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.e2e.commands import hpctrain
from tests.integration.slurm.cluster import Cluster
from tests.integration.slurm.jobs import (
    ALONE,
    ENDLESS,
    current_job,
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


def ask(cluster: Cluster, small: SmallRun, *words: str, expected: int = 0) -> str:
    """What `hpctrain WORDS` says on the login node."""
    done = hpctrain(*words, cwd=small.folder, env=cluster.env)
    assert done.returncode == expected, f"{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def status(cluster: Cluster, small: SmallRun, run: Path) -> dict[str, Any]:
    (found,) = json.loads(ask(cluster, small, "status", "--json", str(run)))
    assert isinstance(found, dict)
    return found


def test_submit__to_the_end(cluster: Cluster, small: SmallRun) -> None:
    name = small.unique("submitted")
    said = ask(
        *(cluster, small, "submit", "small.yaml", "--site", "generic-slurm", "--as", name),
        *("--set", "resources.ranks_per_node=1", "--set", "launch.comm=single"),
    )
    run = small.folder / "jobs" / name
    found = re.search(r"handed in as job (\d+)", said)
    assert found, said
    assert current_job(run) == found[1]
    ask(cluster, small, "submit", str(run), expected=4)  # it is in the queue already
    assert cluster.wait(found[1])["JobState"] == "COMPLETED"
    assert status(cluster, small, run)["status"] == "finished"


def test_after__each_waits_for_the_end_it_names(cluster: Cluster, small: SmallRun) -> None:
    parent = render(small, *ALONE, *slow(0.5), name="parent")
    submit(cluster, parent)
    waiting = {
        how: render(small, *ALONE, f"after={{{parent.name}: {how}}}", name=f"after-{how}")
        for how in ("ok", "any", "failed")
    }
    jobs = {how: submit(cluster, run) for how, run in waiting.items()}
    assert {cluster.job(job_id)["Reason"] for job_id in jobs.values()} == {"Dependency"}
    assert status(cluster, small, waiting["ok"])["queue_state"] == "waiting"
    assert "waits for another job to end" in ask(cluster, small, "why", str(waiting["ok"]))

    ends = {how: cluster.wait(job_id)["JobState"] for how, job_id in jobs.items()}
    assert ends == {"ok": "COMPLETED", "any": "COMPLETED", "failed": "CANCELLED"}
    assert not (waiting["failed"] / "logs" / f"{jobs['failed']}.out").exists()


def test_hold__waits_for_release(cluster: Cluster, small: SmallRun) -> None:
    run = render(small, *ALONE)
    ask(cluster, small, "submit", "--hold", str(run))
    job_id = current_job(run)
    assert cluster.job(job_id)["Reason"] == "JobHeldUser"
    assert status(cluster, small, run)["queue_state"] == "held"
    ask(cluster, small, "release", str(run))
    assert cluster.wait(job_id)["JobState"] == "COMPLETED"


def test_refused__slurms_own_words_are_shown(cluster: Cluster, small: SmallRun) -> None:
    run = render(small, *ALONE, "resources.queue=short", "resources.walltime='00:03:00'")
    said = ask(cluster, small, "submit", "--no-check", str(run), expected=4)
    assert "Requested time limit is invalid" in said
    assert f"sbatch {run}/run.slurm" in said
    assert not (run / "submitted.log").exists()


def test_cancel__leaves_nothing_running(cluster: Cluster, small: SmallRun) -> None:
    run = render(small, *cluster.two_ranks, *ENDLESS, *slow(0.05))
    job_id = submit(cluster, run)
    wait_until(lambda: has_begun(run, 3), 60)
    assert {"rank 0", "rank 1"} <= processes_of(run).keys()
    ask(cluster, small, "cancel", str(run))
    assert cluster.wait(job_id)["JobState"] == "CANCELLED"
    wait_until(lambda: not processes_of(run), 60)
    assert state(run)["status"] in ("stopped", "failed"), log(run)


def test_cancel__can_save_first(cluster: Cluster, small: SmallRun) -> None:
    run = render(small, *cluster.two_ranks, *ENDLESS, *slow(0.05))
    job_id = submit(cluster, run)
    wait_until(lambda: has_begun(run, 3), 60)
    ask(cluster, small, "cancel", "--save", str(run))
    assert cluster.wait(job_id)["ExitCode"] == "75:0", log(run)
    found = state(run)
    assert (found["status"], found["saved_step"]) == ("stopped", found["global_step"])
