"""Run scripts at work: their environment, signals and exit codes, with real processes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from hpctrain.render import render
from tests.jobs import inputs, mantle
from tests.unit.render.running import make_run, shorten, start, state, wait_for


@pytest.mark.parametrize("folder", ["plain", "a b $HOME;'\"`x`"])
def test_run_script__environment_and_arguments(tmp_path, folder):
    base = tmp_path / folder
    base.mkdir()
    run = make_run(base, 'env >"$3/env.txt"; echo "$@" >"$3/args.txt"; pwd >"$3/pwd.txt"')
    out, _ = (process := start(run)).communicate(timeout=20)
    assert process.returncode == 0, out
    env = dict(
        line.split("=", 1) for line in (run / "env.txt").read_text().splitlines() if "=" in line
    )
    assert env["HPCTRAIN_NODES"] == env["HPCTRAIN_RANKS_PER_NODE"] == env["OMP_NUM_THREADS"] == "1"
    assert abs(float(env["HPCTRAIN_DEADLINE"]) - time.time() - 3600) < 30
    assert env["PYTHONPATH"] == f"{run}/code"
    assert env["HPCTRAIN_JOB_ID"] in env["HPCTRAIN_LAUNCH_ID"]
    assert (env["HPCTRAIN_RANK"], env["HPCTRAIN_WORLD_SIZE"]) == ("0", "1")
    assert (run / "args.txt").read_text() == f"-m hpctrain.train {run}\n"
    assert (run / "pwd.txt").read_text().strip() == str(run)
    assert "mantle: finished" in out


def test_run_script__launch_ids_differ(tmp_path):
    run = make_run(tmp_path, 'echo "$HPCTRAIN_LAUNCH_ID" >>"$3/ids.txt"')
    for _ in range(2):
        start(run).communicate(timeout=20)
    ids = (run / "ids.txt").read_text().split()
    assert len(set(ids)) == 2


@pytest.mark.parametrize("code", [0, 2, 6, 75, 139])
def test_run_script__hands_on_the_exit_code(tmp_path, code):
    process = start(make_run(tmp_path, f"exit {code}"))
    process.communicate(timeout=20)
    assert process.returncode == code


def test_run_script__notes_a_failure_that_rank_0_could_not(tmp_path):
    run = make_run(tmp_path, "exit 9")
    start(run).communicate(timeout=20)
    assert state(run) == {"status": "failed", "exit_code": 9}


def test_run_script__turns_running_into_failed_and_keeps_the_rest(tmp_path):
    run = make_run(
        tmp_path,
        'printf \'{\\n "status": "running",\\n "epoch": 3\\n}\\n\' >"$3/state.json"; kill -9 $$',
    )
    process = start(run)
    process.communicate(timeout=20)
    assert process.returncode == 137
    assert state(run) == {"status": "failed", "exit_code": 137, "epoch": 3}


@pytest.mark.parametrize(("status", "code"), [("finished", 0), ("stopped", 75), ("failed", 6)])
def test_run_script__leaves_alone_what_rank_0_said(tmp_path, status, code):
    run = make_run(
        tmp_path, f'printf \'{{\\n "status": "{status}"\\n}}\\n\' >"$3/state.json"; exit {code}'
    )
    start(run).communicate(timeout=20)
    assert state(run) == {"status": status}


def test_run_script__says_starting_at_once(tmp_path):
    run = make_run(tmp_path, 'cp "$3/state.json" "$3/seen.json"')
    start(run).communicate(timeout=20)
    assert json.loads((run / "seen.json").read_text()) == {"status": "starting"}


def test_run_script__starting_again_keeps_no_end_of_the_start_before(tmp_path):
    run = make_run(tmp_path, "exit 9")
    before = {"status": "failed", "message": "the disk is full", "exit_code": 6, "epoch": 3}
    (run / "state.json").write_text(json.dumps(before, indent=1) + "\n")
    start(run).communicate(timeout=20)
    expected = {"previous_message": "the disk is full", "previous_exit_code": 6, "epoch": 3}
    assert state(run) == {"status": "failed", "exit_code": 9, **expected}


def test_run_script__leaves_alone_the_state_of_another_start(tmp_path):
    other = {"status": "running", "launch_id": "20260101T000000-nid1-4711"}
    page = json.dumps(other, indent=1)
    run = make_run(tmp_path, f"echo '{page}' >\"$3/state.json\"; exit 5")
    start(run).communicate(timeout=20)
    assert state(run) == other


RUNS = (
    'printf \'{\\n "status": "running",\\n "launch_id": "%s"\\n}\\n\''
    ' "$HPCTRAIN_LAUNCH_ID" >"$3/state.json"'
)


def test_run_script__turns_its_own_running_into_failed(tmp_path):
    run = make_run(tmp_path, f"{RUNS}; exit 9")
    start(run).communicate(timeout=20)
    assert state(run)["status"] == "failed"


LISTENS = f"""exec {sys.executable} -c '
import pathlib, signal, sys, time
run = pathlib.Path(sys.argv[1])
signals = []
signal.signal(signal.SIGUSR1, lambda *_: signals.append("usr1"))
(run / "up").touch()
while not signals:
    time.sleep(0.01)
time.sleep(0.3)
(run / "got").write_text(" ".join(signals))
sys.exit(75)' "$3" """


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP])
def test_run_script__a_warning_reaches_the_trainer(tmp_path, number):
    run = make_run(tmp_path, LISTENS)
    process = start(run)
    wait_for(run / "up")
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 75, out
    assert (run / "got").read_text() == "usr1"
    assert not (run / "STOP").exists(), "obeyed, and gone for the next start"
    assert "saved and stopped" in out


def test_run_script__a_second_warning_ends_it(tmp_path):
    run = make_run(tmp_path, 'trap "" USR1; touch "$3/up"; exec sleep 60')
    process = start(run)
    wait_for(run / "up")
    process.send_signal(signal.SIGTERM)
    wait_for(run / "STOP")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 137


def test_run_script__a_halted_launcher_is_not_taken_for_ended(tmp_path):
    run = make_run(tmp_path, 'echo $$ >"$3/pid.new"; mv "$3/pid.new" "$3/pid"; sleep 1; exit 0')
    process = start(run)
    wait_for(run / "pid")
    pid = int((run / "pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5)
    assert process.poll() is None
    os.kill(pid, signal.SIGCONT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0, out


def test_run_script__what_does_not_heed_a_signal_is_ended(tmp_path):
    """A trainer only notes signals; where no launcher kills it, the script must."""
    run = make_run(tmp_path, 'trap "" USR1 TERM; touch "$3/up"; exec sleep 30')
    process = start(run)
    wait_for(run / "up")
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        wait_for(run / "STOP")
    process.communicate(timeout=20)
    assert process.returncode == 137


def processes_of(run):
    """Those that name the script of the run, its timer among them."""
    found = subprocess.run(["pgrep", "-f", f"bash .*{run}/run"], capture_output=True, text=True)
    return found.stdout.split()


@pytest.mark.parametrize("how", ["its end", "kill -9"])
def test_run_script__leaves_no_timer_behind(tmp_path, how):
    """The training itself lives on: rank 0 writes state.json, and the lock is still held."""
    run = make_run(tmp_path, 'touch "$3/up"; sleep 1')
    process = start(run)
    wait_for(run / "up")
    assert len(processes_of(run)) >= 2
    if how == "kill -9":
        process.kill()
    process.communicate(timeout=20)
    end = time.monotonic() + 10
    while processes_of(run):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    "words",
    [
        "prterun noticed that process rank 1 with PID 812 on node n exited on\nsignal 9 (Killed).",
        "srun: error: nid001: task 1: Killed",
        "x1: rank 1 died from signal 9 and dumped core",
    ],
)
def test_run_script__the_launchers_words_of_a_killed_rank_are_kept(tmp_path, words):
    run = make_run(tmp_path, f"printf '%s\\n' '{words}' >&2; exit 137")
    out, _ = start(run).communicate(timeout=20)
    assert words in out
    assert state(run) == {
        "status": "failed",
        "exit_code": 137,
        "message": words.replace("\n", " "),
    }


def test_run_script__asks_for_a_checkpoint_before_the_time_is_up(tmp_path):
    run = make_run(tmp_path, LISTENS, "resources.walltime=00:01:00", "launch.warning_s=12")
    shorten(run, 15)
    began = time.monotonic()
    process = start(run)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 75, out
    assert (run / "got").read_text() == "usr1"
    assert 1 < time.monotonic() - began < 10


def test_run_script__ends_what_hangs_before_the_time_is_up(tmp_path):
    run = make_run(tmp_path, 'trap "" USR1; exec sleep 30', "resources.walltime=00:01:00")
    shorten(run, 6)
    process = start(run)
    process.communicate(timeout=20)
    assert process.returncode == 137


@pytest.mark.parametrize(("status", "code"), [("stopped", 75), ("finished", 0)])
def test_run_script__a_launcher_that_only_knows_failure_hides_no_good_end(tmp_path, status, code):
    run = make_run(
        tmp_path,
        f'printf \'{{\\n "status": "{status}",\\n "launch_id": "%s"\\n}}\\n\''
        ' "$HPCTRAIN_LAUNCH_ID" >"$3/state.json"; exit 1',
    )
    process = start(run)
    process.communicate(timeout=20)
    assert process.returncode == code


def test_run_script__a_launcher_that_says_0_makes_no_end_of_a_running_training(tmp_path):
    run = make_run(
        tmp_path,
        'printf \'{\\n "status": "running",\\n "launch_id": "%s"\\n}\\n\''
        ' "$HPCTRAIN_LAUNCH_ID" >"$3/state.json"; exit 0',
    )
    process = start(run)
    process.communicate(timeout=20)
    assert process.returncode == 1
    assert state(run)["status"] == "failed"


def test_run_script__a_warning_before_the_trainer_listens_kills_nothing(tmp_path):
    run = make_run(tmp_path, 'touch "$3/up"; sleep 0.5; test -e "$3/STOP" && exit 75')
    process = start(run)
    wait_for(run / "up")
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=20)
    assert process.returncode == 75


def test_run_script__an_old_stop_file_is_told_to_the_trainer(tmp_path):
    run = make_run(tmp_path, 'test "$(stat -c %.9Y "$3/STOP")" = "$HPCTRAIN_OLD_STOP"')
    (run / "STOP").touch()
    process = start(run)
    process.communicate(timeout=20)
    assert process.returncode == 0


FORGETS = 'rm "$3/STOP"; trap "" USR1; touch "$3/up"; while [ ! -e "$3/STOP" ]; do sleep 0.1; done'


def test_run_script__a_warning_is_written_down_where_the_trainer_took_an_old_stop_away(tmp_path):
    """A launcher that hands no USR1 on: the file alone tells the trainer."""
    run = make_run(tmp_path, f"{FORGETS}; exit 75")
    (run / "STOP").touch()
    process = start(run)
    wait_for(run / "up")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 75, out


OTHER = {"status": "running", "launch_id": "20260101T000000-nid1-4711"}


def with_another(run):
    """The run, in which another start is at work."""
    (run / "state.json").write_text(json.dumps(OTHER, indent=1) + "\n")
    return run


def test_run_script__a_refused_start_does_not_touch_the_state_of_the_first(tmp_path):
    run = with_another(make_run(tmp_path, "exit 5"))
    before = (run / "state.json").stat()
    start(run).communicate(timeout=20)
    assert (run / "state.json").stat().st_ino == before.st_ino


def test_run_script__a_refused_start_keeps_its_words_apart_from_those_of_the_first(tmp_path):
    says = f'{RUNS}; echo "process rank 7 exited" >&2; touch "$3/up"'
    ends = 'while [ ! -e "$3/go" ]; do sleep 0.1; done; echo end >&2; exit 137'
    run = make_run(tmp_path, f'[ ! -e "$3/up" ] || exit 5; {says}; {ends}')
    process = start(run)
    wait_for(run / "up")
    start(run).communicate(timeout=20)
    (run / "go").touch()
    process.communicate(timeout=20)
    assert state(run)["message"] == "process rank 7 exited"


def test_run_script__an_orderly_end_takes_the_launchers_words_of_earlier_starts_away(tmp_path):
    run = make_run(tmp_path, 'test -e "$3/up"')
    for _ in range(2):
        start(run).communicate(timeout=20)
    (run / "up").touch()
    start(run).communicate(timeout=20)
    assert len(list((run / "logs").glob("launcher-*.err"))) == 1


def test_run_script__a_signal_to_a_refused_start_does_not_stop_the_first(tmp_path):
    wait = 'trap "" USR1; touch "$3/up"; sleep 1; exit 5'
    run = with_another(make_run(tmp_path, wait))
    process = start(run)
    wait_for(run / "up")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 5, out
    assert not (run / "STOP").exists()


def test_run_script__missing_launcher_is_said_in_one_line(tmp_path):
    run = make_run(tmp_path, "exit 0", "resources.ranks_per_node=2")
    process = start(run)
    out, _ = process.communicate(timeout=20)
    if process.returncode == 0:
        pytest.skip("this machine has an mpirun in /usr/bin")
    assert process.returncode == 5
    assert "no mpirun in PATH" in out
    assert state(run)["exit_code"] == 5


def test_pbs_rsh__hands_the_text_to_a_shell(tmp_path):
    """Open MPI passes the remote command as one text; pbs_tmrsh starts a program."""
    fake = tmp_path / "pbs_tmrsh"
    # like PBS, it hands on no environment
    fake.write_text('#!/bin/sh\nhost=$1; shift; echo "on $host"; exec env -i "$@"\n')
    fake.chmod(0o755)
    resolved = mantle("generic-pbs", "resources.nodes=2")
    files = render(resolved.job, resolved.site, inputs())
    wrapper = tmp_path / "pbs_rsh.sh"
    wrapper.write_bytes(files["pbs_rsh.sh"].content)
    path = f"{tmp_path}:{os.environ['PATH']}:/an odd place"
    env = {**os.environ, "PATH": path, "LD_LIBRARY_PATH": "/x:/y z"}
    remote = ' A=1 ; export A ; echo \'x y\' $A; echo "$PATH"; echo "$LD_LIBRARY_PATH"'
    command = ["sh", str(wrapper), "nid02", remote]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.stdout == f"on nid02\nx y 1\n{path}\n/x:/y z\n"
