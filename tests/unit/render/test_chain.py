"""When a job of a chain goes on in another one, and when not: real scripts, a small trainer."""

import signal
import sys
from pathlib import Path

import pytest

from tests.unit.render.running import make_run, shorten, start, wait_for, write_program

SHORT = ("chain.max_jobs=3", "resources.walltime=00:01:00")
"""So short that every warning comes near the end."""

TRAINER = """
cd "$3"
saved=$(sed -nE 's/^ "saved_step": ([0-9]+),$/\\1/p' state.json)
put() {{
  printf ' "%s": %s,\\n' status "\\"$1\\"" launch_id "\\"$HPCTRAIN_LAUNCH_ID\\"" \\
    stop_reason "\\"$2\\"" saved_step "$3" | sed '1s/^/{{\\n/; $s/$/\\n "x": 0\\n}}/' >state.json
}}
say() {{
  put "$1" "$2" "$3"
  exit "$4"
}}
echo "$HPCTRAIN_CHAIN_JOB" >>starts
{body}
"""
"""Says what the trainer says: state, reason of the stop, saved step, exit code."""


def chained(folder: Path, body: str, *settings: str) -> Path:
    return make_run(folder, TRAINER.format(body=body), *(settings or SHORT))


def finish(run: Path, **env: str) -> tuple[int, str, list[list[str]]]:
    """Exit code, output, and chain.log without its times and job ids."""
    process = start(run, **env)
    out, _ = process.communicate(timeout=20)
    return process.returncode, out, log(run)


def log(run: Path) -> list[list[str]]:
    lines = [line.split("\t") for line in (run / "chain.log").read_text().splitlines()]
    assert all(len(words) == 6 for words in lines)
    return [[number, code, step, what] for _, number, _, code, step, what in lines]


def test_chain__goes_on_until_the_training_is_finished(tmp_path):
    body = """
[ "${saved:-0}" -lt 20 ] || say finished '' 30 0
say stopped 'the deadline' "$((${saved:-0} + 10))" 75"""
    code, out, found = finish(chained(tmp_path, body, "chain.max_jobs=5"))
    assert code == 0, out
    assert found == [
        ["1", "75", "10", "goes on"],
        ["2", "75", "20", "goes on"],
        ["3", "0", "30", "finished"],
    ]
    assert "goes on, number 3 of 5 at most" in out


def test_chain__ends_after_max_jobs(tmp_path):
    body = "say stopped 'the deadline' \"$((${saved:-0} + 10))\" 75"
    code, out, found = finish(chained(tmp_path, body))
    assert code == 75
    assert found[-1] == ["3", "75", "30", "it was the last of chain.max_jobs: 3"]
    assert "no further job of the chain: it was the last" in out


def test_chain__ends_where_no_step_was_made(tmp_path):
    code, _, found = finish(chained(tmp_path, "say stopped 'the deadline' 10 75"))
    assert code == 75
    assert [words[-1] for words in found] == ["goes on", "no step was saved since the job began"]


@pytest.mark.parametrize(
    ("body", "code", "why"),
    [
        ("say finished '' 30 0", 0, "finished"),
        ("say stopped 'the file STOP' 10 75", 75, "stopped by the file STOP"),
        ("say stopped 'signal SIGUSR1' 10 75", 75, "stopped by signal SIGUSR1"),
        ("say failed '' 10 6", 6, "failed with exit code 6"),
        ("kill -9 $$", 137, "failed with exit code 137"),
    ],
)
def test_chain__only_the_end_of_the_time_goes_on(tmp_path, body, code, why):
    found = finish(chained(tmp_path, body))
    assert (found[0], found[2][-1][-1]) == (code, why)
    assert len(found[2]) == 1


LISTENS = f"""exec {sys.executable} -c '
import json, os, pathlib, signal, time
signals = []
signal.signal(signal.SIGUSR1, lambda *_: signals.append(1))
pathlib.Path("up").touch()
while not signals:
    time.sleep(0.01)
state = dict(status="stopped", launch_id=os.environ["HPCTRAIN_LAUNCH_ID"], saved_step=10, x=0)
pathlib.Path("state.json").write_text(json.dumps(state, indent=1))
raise SystemExit(75)'"""
# bash could not listen: what was ignored when it began stays ignored


@pytest.mark.parametrize(
    ("settings", "number", "why"),
    [
        (("chain.max_jobs=3",), signal.SIGUSR1, "stopped by signal USR1"),
        (("chain.max_jobs=3",), signal.SIGTERM, "stopped by signal TERM"),
        (SHORT, signal.SIGTERM, "stopped by signal TERM"),
        (SHORT, signal.SIGUSR1, "goes on"),
    ],
)
def test_chain__a_signal_counts_as_the_end_only_near_it(tmp_path, settings, number, why):
    """qdel, scancel and preemption send the same signals as the end of the walltime."""
    body = f'[ -z "$saved" ] || say finished "" 30 0\n{LISTENS}'
    run = chained(tmp_path, body, *settings)
    process = start(run)
    wait_for(run / "up")
    process.send_signal(number)
    process.communicate(timeout=20)
    assert log(run)[0] == ["1", "75", "10", why]
    assert len(log(run)) == (2 if why == "goes on" else 1)


@pytest.mark.parametrize("has_saved", [True, False])
def test_chain__what_hangs_is_ended_and_goes_on_from_its_checkpoint(tmp_path, has_saved):
    body = f"""
[ ! -e up ] || say finished '' 30 0
touch up
{"put running '' 7" if has_saved else ""}
trap '' USR1
exec sleep 30"""
    run = chained(tmp_path, body)
    shorten(run, 6)
    _, out, found = finish(run)
    if has_saved:
        assert [words[-1] for words in found] == ["goes on", "finished"], out
    else:
        assert found == [["1", "137", "", "no step was saved since the job began"]], out


def test_chain__a_stop_file_between_two_jobs_ends_it(tmp_path):
    run = chained(tmp_path, "say finished '' 30 0")
    (run / "STOP").touch()
    code, _, found = finish(run, HPCTRAIN_CHAIN_JOB="2")
    assert (code, found) == (
        75,
        [["2", "75", "", "stopped by the file STOP before this job began"]],
    )
    assert not (run / "starts").exists()


def test_chain__a_job_behind_a_finished_training_does_nothing(tmp_path):
    run = chained(tmp_path, "say finished '' 30 0")
    (run / "state.json").write_text('{\n "saved_step": 30,\n "status": "finished"\n}\n')
    code, _, found = finish(run, HPCTRAIN_CHAIN_JOB="2")
    assert (code, found) == (0, [["2", "0", "30", "finished before this job began"]])
    assert not (run / "starts").exists()


def test_chain__a_stop_file_of_the_user_is_kept_when_the_time_is_up(tmp_path):
    run = chained(tmp_path, LISTENS)
    process = start(run)
    wait_for(run / "up")
    (run / "STOP").touch()
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=20)
    assert log(run) == [["1", "75", "10", "stopped by the file STOP"]]


def test_chain__a_stop_file_that_a_killed_job_left_behind_ends_nothing(tmp_path):
    run = chained(tmp_path, "say finished '' 30 0")
    (run / "STOP").write_text("signal TERM\n")
    assert finish(run, HPCTRAIN_CHAIN_JOB="2")[2] == [["2", "0", "30", "finished"]]


def test_chain__its_number_is_not_for_what_the_training_hands_in(tmp_path):
    run = chained(tmp_path, "env >env; say finished '' 30 0")
    finish(run, HPCTRAIN_CHAIN_JOB="2")
    assert "HPCTRAIN_CHAIN_JOB" not in (run / "env").read_text()


def test_chain__a_launcher_that_is_missing_has_its_line(tmp_path):
    run = chained(tmp_path, "exit 0", "chain.max_jobs=3", "launch.launcher=aprun")
    code, _, found = finish(run)
    assert (code, found) == (5, [["1", "5", "", "failed with exit code 5"]])


SLURM = {"SLURM_JOB_ID": "7"}
STOPPED = "say stopped 'the deadline' \"$((${saved:-0} + 10))\" 75"


def on_slurm(folder: Path, body: str, how: str = "resubmit") -> Path:
    """A chain whose sbatch and scontrol write down what they are asked."""
    spec = f"chain={{max_jobs: 3, how: {how}}}"
    run = make_run(folder, TRAINER.format(body=body), spec, site="generic-slurm")
    write_program(folder / "bin" / "sbatch", 'echo "sbatch $HPCTRAIN_CHAIN_JOB $*" >>asked; echo 8')
    shown = "JobId=20 Dependency=afterok:7(unfulfilled):70(unfulfilled),afterany:5(unfulfilled) X=1"
    program = f"""[ "$1" != show ] || {{ echo '{shown}'; exit; }}
echo "scontrol $*" >>asked; [ "$1" != requeue ]"""
    write_program(folder / "bin" / "scontrol", program)
    return run


def asked(run: Path) -> list[str]:
    return (run / "asked").read_text().splitlines()


def test_slurm__an_element_of_an_array_requeues_itself_alone(tmp_path):
    """`scontrol requeue 7` throws out all elements of array 7, and one has that job id itself."""
    run = on_slurm(tmp_path, STOPPED, "requeue")
    finish(run, **SLURM, SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="2")
    assert asked(run) == ["scontrol requeue 7_2"]


def test_slurm__a_stop_file_before_a_requeued_job_begins(tmp_path):
    run = on_slurm(tmp_path, STOPPED, "requeue")
    (run / "STOP").touch()
    code, _, found = finish(run, **SLURM, SLURM_RESTART_COUNT="1")
    assert (code, found[0][-1]) == (75, "stopped by the file STOP before this job began")


def test_slurm__the_count_goes_along_where_the_environment_does_not(tmp_path):
    run = on_slurm(tmp_path, STOPPED)
    finish(run, **SLURM)
    finish(run, **SLURM, SLURM_EXPORT_ENV="NONE")
    plain, exported = asked(run)
    assert plain == "sbatch 2 --parsable --dependency=afterany:7 run.slurm"
    assert "--export=ALL,HPCTRAIN_CHAIN_JOB=2" in exported.split()


def test_slurm__a_follower_keeps_its_other_waits(tmp_path):
    run = on_slurm(tmp_path, STOPPED)
    (run / "followers").write_text("20\tok\n")
    finish(run, **SLURM)
    assert asked(run)[-1] == "scontrol update JobId=20 Dependency=afterok:8:70,afterany:5"


def test_slurm__jobs_handed_in_at_once_end_with_a_failure(tmp_path):
    run = on_slurm(tmp_path, "say failed '' 10 6", "presubmit")
    assert finish(run, **SLURM)[0] == 6
    for number in ("2", "3"):
        assert finish(run, **SLURM, HPCTRAIN_CHAIN_JOB=number)[0] == 75
    assert len((run / "starts").read_text().split("\n")) == 2


def test_slurm__a_start_that_is_refused_does_not_stop_the_one_at_work(tmp_path):
    run = on_slurm(tmp_path, "exit 5", "presubmit")
    at_work = '{\n "status": "running",\n "launch_id": "20260101T000000-6"\n}\n'
    (run / "state.json").write_text(at_work)
    assert finish(run, **SLURM)[0] == 5
    assert not (run / "STOP").exists()
    assert (run / "state.json").read_text() == at_work


@pytest.mark.parametrize(
    ("depend", "expected"),
    [
        (
            "afterok:7.pbs@pbs:70.pbs@pbs,afterany:5.pbs@pbs,beforeany:9.pbs@pbs",
            "afterok:8.pbs:70.pbs,afterany:5.pbs",
        ),
        ("", "afterok:8.pbs"),
    ],
)
def test_pbs__a_follower_keeps_its_other_waits(tmp_path, depend, expected):
    run = make_run(tmp_path, TRAINER.format(body=STOPPED), "chain.max_jobs=3", site="generic-pbs")
    (run / "followers").write_text("20.pbs\tok\n")
    page = f'{{\n    "Jobs":{{\n        "20.pbs":{{\n            "depend":"{depend}",\n'
    write_program(tmp_path / "bin" / "qstat", f"cat <<E\n{page}\nE")
    write_program(tmp_path / "bin" / "qsub", "echo 8.pbs")
    write_program(tmp_path / "bin" / "qalter", 'echo "$*" >asked')
    finish(run, PBS_JOBID="7.pbs", PBS_NODEFILE="/dev/null")
    assert asked(run) == [f"-W depend={expected} 20.pbs"]
