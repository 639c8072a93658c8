"""Processes in place of jobs."""

import os
import socket
import subprocess
import time

from hpctrain.schedulers.local import LocalScheduler, pid_of, state

LOCAL = LocalScheduler()


def test_pid_of():
    assert pid_of("login-01-4711") == 4711
    assert pid_of("nothing") == 0


def test_state__a_process_lives_and_dies():
    process = subprocess.Popen(["sleep", "60"])
    job_id = f"{socket.gethostname()}-{process.pid}"
    assert state(job_id, time.time()).state == "running"
    process.kill()
    process.wait()
    assert state(job_id, time.time()).state == "ended"


def test_state__a_younger_process_with_the_same_number_is_another():
    assert state(f"{socket.gethostname()}-{os.getpid()}", 1000.0).state == "ended"


def test_state__another_host():
    status = state("elsewhere-1", time.time())
    assert status.state == "unknown"
    assert "elsewhere" in status.reason


def test_cancel_command__ends_a_script_that_hears_the_second_signal_only(tmp_path):
    script = "trap 'n=$((n+1)); [ $n -lt 2 ] || exit 7' TERM; echo; while :; do sleep 0.1; done"
    process = subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    subprocess.run(LOCAL.cancel_command([f"h-{process.pid}"]), check=True)
    assert process.wait(timeout=10) == 7
    process.stdout.close()
