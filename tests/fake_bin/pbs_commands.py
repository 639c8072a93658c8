"""qsub, qstat, qdel, qhold, qrls, qalter and pbsnodes of the stand-in (see pbs_store)."""

from __future__ import annotations

import getopt
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pbs_script
import pbs_store as store
from pbs_store import Job, RefusedError, root

HERE = Path(__file__).resolve().parent
FINISHED = "Job has finished, use -x or -H to obtain historical job information"


def main() -> None:
    """Be the command that this was called as."""
    name = Path(sys.argv[0]).name
    try:
        sys.exit(COMMANDS[name](sys.argv[1:]))
    except RefusedError as e:
        print(f"{name}: {e}", file=sys.stderr)
        sys.exit(e.code)


def qsub(words: list[str]) -> int:
    """Read the script, store the job, start the process that will run it."""
    given, rest = pbs_script.options(words, "qsub")
    if len(rest) != 1:
        raise RefusedError(1, "the stand-in takes one script")
    script = Path(rest[0])
    if not script.is_file():
        raise RefusedError(1, f"script file:: {script}: No such file or directory")
    found = pbs_script.request(given, script)
    if "-N" not in dict(given) and found["-N"] == "STDIN":
        found["-N"] = script.name
    with store.server():
        job_id = store.new_id("-J" in found)
        _home()
        copy = root() / "mom" / f"{job_id.split('.')[0]}.SC"
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(script, copy)  # later edits of the script change nothing
        copy.chmod(0o700)
        job = _job(job_id, found)
        job["job_state"] = "H" if "-h" in found or store.waits(job) == "wait" else "Q"
        store.write(job_id, job)
    mom = [sys.executable, str(HERE / "pbs_mom.py"), job_id]
    null = subprocess.DEVNULL
    with (root() / "mom.log").open("a") as log:
        subprocess.Popen(
            mom, stdin=null, stdout=null, stderr=log, start_new_session=True, cwd=root()
        )
    print(job_id)
    return 0


def _home() -> None:
    """A home whose profile brings the commands into PATH, as /etc/profile.d/pbs.sh does."""
    home = root() / "home"
    home.mkdir(exist_ok=True)
    profile = f"export PATH={HERE}:$PATH FAKE_PBS={root()}\n"
    (home / ".bash_profile").write_text(profile)


def _job(job_id: str, found: dict[str, Any]) -> Job:
    number = job_id.split(".")[0]
    given = Path(found.get("-o", f"{found['-N']}.o{number.rstrip('[]')}"))
    output = Path(os.getcwd()) / given
    if found.get("-o", "").endswith("/") or output.is_dir():
        suffix = ".^array_index^" if "-J" in found else ""
        output = output / f"{job_id}{suffix}.OU"
    origin = {"PBS_O_WORKDIR": os.getcwd(), "PBS_O_HOST": "login", "PBS_O_QUEUE": found["-q"]}
    return {
        "Job_Name": found["-N"],
        "Job_Owner": f"{pwd.getpwuid(os.getuid()).pw_name}@login",
        "job_state": "Q",
        "queue": found["-q"],
        "server": store.SERVER,
        "ctime": time.strftime("%a %b %e %H:%M:%S %Y"),
        "Hold_Types": "u" if "-h" in found else "n",
        "Output_Path": str(output),
        "Rerunable": found.get("-r", "y") == "y",
        "Resource_List": found["resources"],
        "run_count": 0,
        "substate": 10,
        **({"depend": found["W"]["depend"]} if "depend" in found["W"] else {}),
        "_keep": found.get("-k", ""),
        "_variables": {**origin, **found["variables"]},
        "_indices": _indices(found.get("-J", "")),
    }


def _indices(text: str) -> list[int]:
    if not text:
        return []
    parsed = re.fullmatch(r"(\d+)-(\d+)(?::(\d+))?(?:%\d+)?", text)
    if parsed is None:
        raise RefusedError(1, "illegal -J value")
    return list(range(int(parsed[1]), int(parsed[2]) + 1, int(parsed[3] or 1)))


def qstat(words: list[str]) -> int:
    """`-f -F json IDS`, with -x also ended ones."""
    given, ids = getopt.getopt(words, "xfF:")
    options = dict(given)
    if "-f" not in options or options.get("-F") != "json":
        raise RefusedError(2, "the stand-in knows -f -F json only")
    if "-x" in options and (root() / "no_history").exists():
        raise RefusedError(54, "PBS is not configured to maintain job history")
    jobs, code = {}, 0
    for job_id in ids:
        try:
            job = store.read(job_id)
            if job["job_state"] == "F" and "-x" not in options:
                raise RefusedError(35, f"{job_id} {FINISHED}")
            jobs[job_id] = {key: value for key, value in job.items() if not key.startswith("_")}
        except RefusedError as e:
            print(f"qstat: {e}", file=sys.stderr)
            code = e.code
    page = {"timestamp": int(time.time()), "pbs_version": "23.06.06", "pbs_server": store.SERVER}
    if jobs or not ids:
        print(json.dumps({**page, "Jobs": jobs}, indent=4))
    return code


def _each(words: list[str], change: Callable[[str, Job], Job]) -> int:
    for job_id in words:
        with store.server():
            job = store.read(job_id)
            if job["job_state"] == "F":
                raise RefusedError(35, f"{FINISHED} {job_id}")
            store.write(job_id, change(job_id, job))
    return 0


def qdel(words: list[str]) -> int:
    """End running jobs by signals; others are gone at once, and their dependents stay in H."""

    def end(job_id: str, job: Job) -> Job:
        if job["job_state"] in "RE":
            return {**job, "_deleted": True}
        return {**job, "job_state": "F", "Exit_status": 271, "comment": "Job held and terminated"}

    return _each([word for word in words if not word.startswith("-")], end)


def qhold(words: list[str]) -> int:
    """Put a user's hold on waiting jobs."""

    def hold(job_id: str, job: Job) -> Job:
        if job["job_state"] == "R":
            raise RefusedError(168, f"Request invalid for state of job {job_id}")
        comment = f"Job held by {job['Job_Owner'].partition('@')[0]} on {time.ctime()}"
        return {**job, "Hold_Types": "u", "job_state": "H", "comment": comment}

    return _each(words, hold)


def qrls(words: list[str]) -> int:
    """Take a user's hold off."""

    def release(job_id: str, job: Job) -> Job:
        if "s" in job["Hold_Types"]:
            raise RefusedError(159, f"Unauthorized Request  {job_id}")
        return {k: v for k, v in job.items() if k != "comment"} | {"Hold_Types": "n"}

    return _each(words, release)


def qalter(words: list[str]) -> int:
    """`-W depend=... IDS`."""
    given, ids = getopt.getopt(words, "W:")
    kind, _, value = dict(given).get("-W", "").partition("=")
    if kind != "depend":
        raise RefusedError(2, "the stand-in knows -W depend= only")

    def alter(job_id: str, job: Job) -> Job:
        if job["job_state"] == "R":
            raise RefusedError(168, f"Request invalid for state of job {job_id}")
        return {**job, "depend": value}

    return _each(ids, alter)


def pbsnodes(words: list[str]) -> int:
    """There, and that is all: it tells PBS from Cobalt."""
    print(os.uname().nodename)
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "qsub": qsub,
    "qstat": qstat,
    "qdel": qdel,
    "qhold": qhold,
    "qrls": qrls,
    "qalter": qalter,
    "pbsnodes": pbsnodes,
}
