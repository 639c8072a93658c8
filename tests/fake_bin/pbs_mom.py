"""Runs one job of the stand-in for real: `pbs_mom.py JOB_ID`, started by qsub (see pbs_store)."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pbs_script
import pbs_store as store
from pbs_store import Job, root

POLL_S = 0.05
PATIENCE_S = 240
"""A stand-in that a test forgot ends by itself."""
KILL_DELAY_S = float(os.environ.get("FAKE_PBS_KILL_DELAY", "2"))
WALLTIME_EXCEEDED, DELETED = -29, 256 + signal.SIGTERM


def main(job_id: str) -> None:
    """Wait until the job may start, run it, and write its end."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and root().is_dir():
        with store.server():
            before = store.read(job_id)
            job = dict(before)
            verdict = _verdict(job)
            if verdict == "start":
                job = {**job, "job_state": "R", "run_count": 1, "stime": _now(), "substate": 42}
                store.write(job_id, job)
            elif {**job, "job_state": verdict} != before:
                store.write(job_id, {**job, "job_state": verdict})
        if verdict == "start":
            _run_all(job_id, job)
            return
        if verdict == "F":
            return
        time.sleep(POLL_S)


def _verdict(job: Job) -> str:
    """What becomes of a job that does not run: `start`, or the letter of its state."""
    if job["job_state"] == "F":
        return "F"
    if "u" in job["Hold_Types"] or "s" in job["Hold_Types"]:
        return "H"
    waits = store.waits(job)
    if waits == "wait":
        return "H"
    if waits == "never":
        job.update(Exit_status=DELETED, comment="Job deleted as result of dependency on job")
        return "F"
    if _cannot_run(job):
        return "Q"
    if job["_keep"].startswith("d") and not Path(job["Output_Path"]).parent.is_dir():
        job.update(
            Hold_Types="s", run_count=21, comment="job held, too many failed attempts to run"
        )
        return "H"
    return "start"


def _cannot_run(job: Job) -> bool:
    wanted = job["Resource_List"]
    scatter = "scatter" in wanted.get("place", "") and len(pbs_script.chunks(wanted["select"])) > 1
    if scatter:  # there is one machine only
        job["comment"] = "Can Never Run: Not enough total nodes available"
    return scatter


def _run_all(job_id: str, job: Job) -> None:
    indices = job["_indices"] or [None]
    codes = [_run(job_id, job, index) for index in indices]
    worst = next((code for code in codes if code), 0)
    end = {0: "finished", DELETED: "terminated"}.get(worst, "failed")
    stamp = time.strftime("%a %b %d at %H:%M")
    comment = f"Job run at {stamp} on ({socket.gethostname()}:ncpus=1) and {end}"
    store.change(job_id, job_state="F", Exit_status=worst, comment=comment, substate=92)


def _run(job_id: str, job: Job, index: int | None) -> int:
    mom = root() / "mom"
    mom.mkdir(exist_ok=True)
    number = job_id.split(".")[0]
    spool = mom / f"{number}{'' if index is None else f'.{index}'}.OU"
    target = Path(job["Output_Path"].replace("^array_index^", str(index)))
    is_direct = job["_keep"].startswith("d")
    with (target if is_direct else spool).open("ab") as out:
        process = subprocess.Popen(
            # a login shell stays above the script, which is a copy made at submission
            ["/bin/bash", "-l", "-c", '"$0"; exit $?', str(mom / f"{number}.SC")],
            cwd=root() / "home",
            env=_environment(job_id, job, index),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code = _watch(process, job_id, job)
    if not is_direct:
        _deliver(job_id, spool, target)
    return code


def _environment(job_id: str, job: Job, index: int | None) -> dict[str, str]:
    """Nothing of the submitter's but what -v named and PBS_O_*."""
    number = job_id.split(".")[0]
    nodefile = root() / "mom" / f"{number}.nodes"
    chunks = pbs_script.chunks(job["Resource_List"].get("select", ""))
    hosts = [socket.gethostname()] * sum(chunk.get("mpiprocs", 1) for chunk in chunks)
    nodefile.write_text("".join(f"{host}\n" for host in hosts))
    user = pwd.getpwuid(os.getuid()).pw_name
    return {
        "HOME": str(root() / "home"),
        "LOGNAME": user,
        "PATH": "/usr/bin:/bin",
        "SHELL": "/bin/bash",
        "PBS_ENVIRONMENT": "PBS_BATCH",
        "PBS_JOBID": job_id,
        "PBS_JOBNAME": job["Job_Name"],
        "PBS_NODEFILE": str(nodefile),
        "PBS_QUEUE": job["queue"],
        **({} if index is None else {"PBS_ARRAY_INDEX": str(index)}),
        **job["_variables"],
    }


def _watch(process: subprocess.Popen[bytes], job_id: str, job: Job) -> int:
    """Wait for the end; at the walltime or a qdel SIGTERM to the session, later SIGKILL."""
    limit = time.monotonic() + pbs_script.seconds(job["Resource_List"]["walltime"])
    forced: int | None = None
    while process.poll() is None:
        is_deleted = store.read(job_id).get("_deleted", False)
        if forced is None and (is_deleted or time.monotonic() > limit):
            forced = DELETED if is_deleted else WALLTIME_EXCEEDED
            _signal_session(process.pid, signal.SIGTERM)
            limit = time.monotonic() + KILL_DELAY_S
        elif forced is not None and time.monotonic() > limit:
            _signal_session(process.pid, signal.SIGKILL)
        time.sleep(POLL_S)
    if forced is not None:
        # the login shell is gone, the script below it may still use its kill_delay
        while time.monotonic() < limit and _session(process.pid):
            time.sleep(POLL_S)
        _signal_session(process.pid, signal.SIGKILL)
        return forced
    return process.returncode if process.returncode >= 0 else 256 - process.returncode


def _session(leader: int) -> list[int]:
    """Processes of a session; those that called setsid have escaped."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] not in "ZX":
            found.append(int(stat.parent.name))
    return found


def _signal_session(leader: int, number: int) -> None:
    for pid in _session(leader):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _deliver(job_id: str, spool: Path, target: Path) -> None:
    """The output comes after the end; where its folder is missing it stays on the node."""
    if target.parent.is_dir():
        shutil.copy(spool, target)
        return
    store.change(job_id, job_state="E")
    time.sleep(1.0)  # about 40 s with the real one
    undelivered = root() / "undelivered"
    undelivered.mkdir(exist_ok=True)
    shutil.copy(spool, undelivered)


def _now() -> str:
    return time.strftime("%a %b %e %H:%M:%S %Y")


if __name__ == "__main__":
    main(sys.argv[1])
