"""Scripts of arrays and ensembles as text."""

import itertools
import subprocess

import pytest

from hpctrain.config.together import num_points
from hpctrain.errors import RenderError
from hpctrain.sweep.plan import choose
from hpctrain.sweep.script import sweep_scripts
from tests.jobs import inputs
from tests.requires import find_shellcheck
from tests.unit.sweep.builders import GRID, sweep

SWEEP_DIR = "/home/user/jobs/mantle"


def scripts(site: str, *settings: str, differing=(), **spec) -> dict[str, str]:
    resolved = sweep({"grid": GRID, **spec}, site, *settings)
    count = num_points(resolved.job.sweep)
    plan = choose(resolved.job, resolved.site, count, list(differing))
    given = inputs(run_dir=SWEEP_DIR)
    return sweep_scripts(resolved.job, resolved.site, given, plan, count, 3)


def header(text: str) -> list[str]:
    lines = text.splitlines()[1:]
    return list(itertools.takewhile(lambda line: line.startswith("#"), lines))


def test_array__slurm():
    text = scripts("generic-slurm", max_running=2)["run.slurm"]
    assert header(text)[0] == "#SBATCH --job-name=mantle"
    assert f"#SBATCH --output={SWEEP_DIR}/logs/%A_%a.out" in header(text)
    assert header(text)[-1] == "#SBATCH --array=0-5%2"
    assert text.count("--output") == 1
    assert 'exec "$point/run.slurm"' in text


def test_array__pbs():
    text = scripts("generic-pbs", max_running=2)["run.pbs"]
    assert f"#PBS -o {SWEEP_DIR}/logs/^array_index^.out" in header(text)
    assert header(text)[-1] == "#PBS -J 0-5%2"
    assert sum(line.startswith("#PBS -o") for line in header(text)) == 1


def test_array__no_limit_that_does_nothing():
    assert "#SBATCH --array=0-5" in header(scripts("generic-slurm", max_running=6)["run.slurm"])


def test_array__in_parts(tmp_path):
    site = tmp_path / "mine.yaml"
    site.write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
        'rules: {"*": {max_array: 4}}\n'
    )
    found = scripts(str(site))
    assert list(found) == ["run-1.slurm", "run-2.slurm"]
    assert header(found["run-2.slurm"])[-1] == "#SBATCH --array=0-2"
    assert "$((3 + element))" in found["run-2.slurm"]
    assert "$((" not in found["run-1.slurm"]


def test_throttled__has_no_script_of_its_own():
    assert scripts("generic-cobalt") == {}


@pytest.mark.parametrize(
    ("site", "line"),
    [
        ("generic-slurm", "#SBATCH --nodes=6"),
        ("generic-pbs", "#PBS -l select=6:ncpus=2:mpiprocs=2"),
        ("generic-cobalt", "#COBALT -n 6"),
    ],
)
def test_ensemble__asks_for_the_nodes_of_all_slots(site, line):
    settings = ("resources.nodes=2", "train.global_batch_size=4")
    (text,) = scripts(site, *settings, how="ensemble", max_running=3).values()
    assert line in header(text)
    assert "slots=3" in text


def test_ensemble__the_launcher_is_kept_to_its_slot():
    (text,) = scripts("generic-pbs", how="ensemble", max_running=3).values()
    for name in ("PBS_NODEFILE", "HPCTRAIN_HOSTFILE"):
        assert text.count(f'export {name}="$hostfile"') == 1
    assert '"$PBS_NODEFILE"; }' in text


def test_ensemble__launchers_under_slurm(tmp_path):
    spec = {"how": "ensemble", "max_running": 3}
    site = tmp_path / "mine.yaml"
    site.write_text("name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n")
    (text,) = scripts(str(site), **spec).values()
    assert 'export SLURM_HOSTFILE="$hostfile"' in text


CASES = [
    ("generic-slurm", {}),
    ("generic-pbs", {}),
    ("local", {}),
    ("generic-slurm", {"how": "ensemble", "max_running": 2}),
    ("generic-pbs", {"how": "ensemble", "max_running": 2}),
    ("generic-cobalt", {"how": "ensemble", "max_running": 2}),
]


@pytest.mark.requires("shellcheck")
def test_scripts__pass_shellcheck(tmp_path):
    paths = []
    for number, (site, spec) in enumerate(CASES):
        for name, text in scripts(site, **spec).items():
            paths.append(tmp_path / f"{number}-{name}.bash")
            paths[-1].write_text(text)
    assert len(paths) == len(CASES)
    done = subprocess.run([find_shellcheck(), *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("site", "spec"), CASES)
def test_scripts__directives_are_unbroken_from_line_two(site, spec):
    for text in scripts(site, **spec).values():
        lines = text.splitlines()
        marks = [i for i, line in enumerate(lines) if line.startswith(("#PBS", "#SB", "#COB"))]
        assert marks == list(range(1, 1 + len(marks)))


@pytest.mark.parametrize("folder", ["/a b/jobs", "/a;id/jobs", "/a$HOME/jobs", "/a\nb/jobs"])
def test_scripts__hostile_folders_are_refused_under_a_scheduler(folder):
    resolved = sweep({"grid": GRID})
    plan = choose(resolved.job, resolved.site, 6, [])
    with pytest.raises(RenderError, match="cannot stand in a directive"):
        sweep_scripts(resolved.job, resolved.site, inputs(run_dir=folder), plan, 6, 3)
