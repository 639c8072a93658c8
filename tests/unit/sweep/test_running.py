"""Scripts of sweeps at work, with real processes; the training is a small shell program."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.unit.render.running import MPIRUN
from tests.unit.sweep.builders import GRID, ONE_RANK, sweep, write

FINISHED = """sed -i 's/"starting"/"finished"/' "$3/state.json"; """


def make(folder: Path, program: str, site: str, spec: dict | None = None, *settings: str) -> Path:
    """A rendered sweep whose interpreter, and whose mpirun, are small shell programs."""
    (folder / "bin").mkdir()
    for name, text in (("python", program), ("mpirun", MPIRUN)):
        path = folder / "bin" / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    resolved = sweep({"grid": GRID, **(spec or {})}, site, *ONE_RANK, *settings)
    write(folder, resolved, python=str(folder / "bin" / "python"))
    shorten(folder / "mantle")
    return folder / "mantle"


def shorten(folder: Path) -> None:
    """Let the script of an ensemble look at its points more often than once a second."""
    for script in folder.glob("run.*"):
        text = script.read_text()
        if "pids" in text:
            assert "sleep 1 &" in text
            assert "-ge 3 ]" in text
            script.write_text(
                text.replace("sleep 1 &", "sleep 0.05 &").replace("-ge 3 ]", "-ge 1 ]")
            )


def start(script: Path, **more: str) -> subprocess.Popen:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(script.parent), **more}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([str(script)], cwd="/", env=env, text=True, **pipes)


def finish(process: subprocess.Popen) -> tuple[int, str]:
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


def wait_for(path: Path) -> None:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.02)


def test_local__runs_all_points_one_after_another(tmp_path):
    program = f'echo "$(basename "$3")" >>"{tmp_path}/order"; {FINISHED} exit 0'
    folder = make(tmp_path, program, "local")
    code, out = finish(start(folder / "run.sh"))
    assert code == 0, out
    assert (tmp_path / "order").read_text().split() == [f"{i:03}" for i in range(6)]
    assert "mantle: 0 failed, 0 not finished, of 6" in out
    # started again there is nothing to do
    code, out = finish(start(folder / "run.sh"))
    assert code == 0
    assert "started" not in out


def test_local__a_point_that_fails_does_not_stop_the_others(tmp_path):
    program = f"case $3 in *001) exit 6 ;; *002) exit 2 ;; *) {FINISHED} ;; esac"
    folder = make(tmp_path, program, "local")
    code, out = finish(start(folder / "run.sh"))
    assert code == 6, out
    assert "points/001: failed with exit code 6" in out
    assert "mantle: 2 failed, 0 not finished, of 6" in out
    assert '"status": "finished"' in (folder / "points" / "005" / "state.json").read_text()


def test_local__one_that_wants_to_go_on_is_said(tmp_path):
    folder = make(tmp_path, f"case $3 in *001) exit 75 ;; *) {FINISHED} ;; esac", "local")
    code, out = finish(start(folder / "run.sh"))
    assert code == 75, out
    assert "points/001: saved and stopped" in out


TRAINER = 'touch "$3/began"; for i in {1..200}; do [ -e "$3/STOP" ] && exit 75; sleep 0.1; done'


@pytest.mark.parametrize("how", ["file", "signal"])
def test_local__a_stop_reaches_the_point_and_starts_no_other(tmp_path, how):
    folder = make(tmp_path, TRAINER, "local")
    process = start(folder / "run.sh")
    wait_for(folder / "points" / "000" / "began")
    if how == "file":
        (folder / "STOP").touch()
    else:
        process.send_signal(signal.SIGTERM)
    code, out = finish(process)
    assert code == 75, out
    assert "points/000: saved and stopped" in out
    assert "mantle: 0 failed, 6 not finished, of 6" in out
    assert not (folder / "points" / "001" / "began").exists()


SLOW = (
    'cat "$PBS_NODEFILE" >"$3/hosts"; echo "$HPCTRAIN_HOSTFILE" >>"$3/hosts"; '
    f'date +%s.%N >"$3/began"; sleep 0.3; date +%s.%N >"$3/ended"; {FINISHED} exit 0'
)


def test_ensemble__splits_the_nodes_and_fills_free_slots(tmp_path):
    settings = ("resources.nodes=2", "resources.ranks_per_node=2", "train.global_batch_size=4")
    spec = {"how": "ensemble", "max_running": 2}
    folder = make(tmp_path, SLOW, "generic-pbs", spec, *settings)
    nodes = tmp_path / "nodes"
    nodes.write_text("".join(f"n{i}\n" * 2 for i in range(4)))
    process = start(folder / "run.pbs", PBS_NODEFILE=str(nodes), PBS_JOBID="7.pbs")
    code, out = finish(process)
    assert code == 0, out
    seen = {}
    for run in sorted((folder / "points").iterdir()):
        *hosts, default = (run / "hosts").read_text().split()
        seen.setdefault(tuple(hosts), []).append(run.name)
        assert default.startswith(f"{folder}/logs/7.pbs.slot")
    # a line a rank, and no node in two slots
    assert set(seen) == {("n0", "n0", "n1", "n1"), ("n2", "n2", "n3", "n3")}
    assert all(len(names) == 3 for names in seen.values())
    for names in seen.values():
        times = [
            float((folder / "points" / n / word).read_text())
            for n in names
            for word in ("began", "ended")
        ]
        assert times == sorted(times), "two points shared a slot"


@pytest.mark.parametrize(
    ("site", "script", "nodes"),
    [("generic-pbs", "run.pbs", "PBS"), ("generic-cobalt", "run.cobalt", "COBALT")],
)
def test_ensemble__points_that_start_late_know_when_it_ends(tmp_path, site, script, nodes):
    program = f'echo "$HPCTRAIN_DEADLINE" >"$3/end"; sleep 0.6; {FINISHED} exit 0'
    folder = make(tmp_path, program, site, {"how": "ensemble", "max_running": 2})
    (tmp_path / "nodes").write_text("n0\nn1\n")
    code, out = finish(start(folder / script, **{f"{nodes}_NODEFILE": str(tmp_path / "nodes")}))
    assert code == 0, out
    assert len({(run / "end").read_text() for run in (folder / "points").iterdir()}) == 1


def test_ensemble__fewer_nodes_than_asked_for(tmp_path):
    spec = {"how": "ensemble", "max_running": 2}
    folder = make(tmp_path, f"{FINISHED} exit 0", "generic-pbs", spec, "resources.nodes=2")
    (tmp_path / "nodes").write_text("n0\n")
    code, out = finish(start(folder / "run.pbs", PBS_NODEFILE=str(tmp_path / "nodes")))
    assert code == 5
    assert "found 1 nodes, and a point takes 2" in out


def test_ensemble__saves_before_the_time_is_up(tmp_path):
    spec = {"how": "ensemble", "max_running": 1}
    folder = make(tmp_path, TRAINER, "generic-cobalt", spec, "resources.walltime=00:05:00")
    (tmp_path / "nodes").write_text("n0\n")
    more = {
        "COBALT_NODEFILE": str(tmp_path / "nodes"),
        "COBALT_ENDTIME": str(int(time.time()) + 75 + 2),  # a quarter of the walltime is warning
    }
    code, out = finish(start(folder / "run.cobalt", **more))
    assert code == 75, out
    assert "the time is up" in out or "points/000: saved and stopped" in out


@pytest.mark.parametrize(
    ("site", "script", "variable"),
    [
        ("generic-slurm", "run.slurm", "SLURM_ARRAY_TASK_ID"),
        ("generic-pbs", "run.pbs", "PBS_ARRAY_INDEX"),
    ],
)
def test_array__an_element_becomes_its_point(tmp_path, site, script, variable):
    program = f'touch "{tmp_path}/$(basename "$3")"; {FINISHED} exit 0'
    folder = make(tmp_path, program, site)
    code, out = finish(start(folder / script, **{variable: "4"}))
    assert code == 0, out
    assert (tmp_path / "004").exists()
    code, out = finish(start(folder / script, **{variable: "4"}))
    assert (code, out) == (0, "points/004: finished before this job began\n")
    code, out = finish(start(folder / script))
    assert code != 0
    assert f"{variable}: is set only in a job array" in out


def test_array__a_stop_keeps_elements_from_starting(tmp_path):
    folder = make(tmp_path, f'touch "{tmp_path}/began"; exit 0', "generic-slurm")
    (folder / "STOP").touch()
    code, out = finish(start(folder / "run.slurm", SLURM_ARRAY_TASK_ID="2"))
    assert (code, out) == (75, f"points/002: not started, as there is a file STOP in {folder}\n")
    assert not (tmp_path / "began").exists()


def test_array__signals_reach_the_point(tmp_path):
    folder = make(tmp_path, TRAINER, "generic-slurm")
    process = start(folder / "run.slurm", SLURM_ARRAY_TASK_ID="2")
    wait_for(folder / "points" / "002" / "began")
    process.send_signal(signal.SIGUSR1)
    code, out = finish(process)
    assert code == 75, out
    assert not (folder / "STOP").exists()


def test_array__a_chain_hands_in_its_own_point_alone(tmp_path):
    program = (
        """printf '{\\n "status": "stopped",\\n "stop_reason": "the deadline",\\n"""
        """ "launch_id": "%s",\\n "saved_step": 5,\\n "x": 0\\n}\\n' "$HPCTRAIN_LAUNCH_ID" """
        """>"$3/state.json"; exit 75"""
    )
    folder = make(tmp_path, program, "generic-pbs", None, "chain.max_jobs=3")
    (tmp_path / "bin" / "qsub").write_text(
        f'#!/bin/bash\necho "$PWD $*" >>"{tmp_path}/handed"; echo 8.pbs\n'
    )
    os.chmod(tmp_path / "bin" / "qsub", 0o755)
    more = {"PBS_ARRAY_INDEX": "3", "PBS_JOBID": "7[3].pbs", "PBS_NODEFILE": "/dev/null"}
    code, out = finish(start(folder / "run.pbs", **more))
    assert code == 75, out
    (handed,) = (tmp_path / "handed").read_text().splitlines()
    assert handed.startswith(f"{folder}/points/003 ")
    assert handed.endswith(" run.pbs")
    assert (folder / "points" / "003" / "submitted.log").read_text().endswith("\tchain\t8.pbs\n")
