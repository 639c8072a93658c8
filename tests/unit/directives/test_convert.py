"""Scripts for another scheduler: directives, variables, and nothing lost in silence."""

import subprocess

import pytest

from hpctrain.directives.convert import convert
from hpctrain.directives.read import find_schedulers, read_script
from hpctrain.directives.request import request_of
from hpctrain.errors import ConfigError
from hpctrain.lint import lint_text
from tests.jobs import REPO

PBS = """#!/bin/bash -l
#PBS -N mantle
#PBS -A Project1
#PBS -q prod
# comments may stand here
#PBS -l select=2:system=polaris:ncpus=32:mpiprocs=4:ngpus=4
#PBS -l place=scatter
#PBS -l walltime=01:30:00
#PBS -l filesystems=home:eagle
#PBS -j oe
#PBS -o logs/
#PBS -v A=1,B='x y'
#PBS -W depend=afterok:12.server
#PBS -p 7

cd "$PBS_O_WORKDIR" || exit 1
echo "job $PBS_JOBID in ${PBS_QUEUE}"
mpiexec -n 8 --hostfile "$PBS_NODEFILE" ./run
#PBS -m abe
"""
SLURM = """#!/bin/bash
#SBATCH --job-name=mantle
#SBATCH --account=Project1 --partition=prod --qos=high
#SBATCH --nodes=2 --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=4
#SBATCH --time=1-06:00:00
#SBATCH --output=logs/%x-%j.out
#SBATCH --open-mode=append --requeue
#SBATCH --mail-user=a@b.org --mail-type=BEGIN,END

echo "$SLURM_JOB_ID: $SLURM_NTASKS ranks on $SLURM_NNODES nodes"
mpirun -np "$SLURM_NTASKS" ./run --cpus "$SLURM_CPUS_PER_TASK" --end "$SLURM_JOB_END_TIME"
"""
COBALT = """#!/bin/bash
#COBALT -n 2 -t 90 -q full-node
#COBALT -A Project1 --jobname mantle
#COBALT --attrs filesystems=home,eagle:pubnet=true
#COBALT --env A=1:B=2
#COBALT -O logs/$jobid

mpirun -hostfile "$COBALT_NODEFILE" -n $((COBALT_PARTSIZE * 8)) ./run "$COBALT_ENDTIME"
"""
SCRIPTS = {"pbs": PBS, "slurm": SLURM, "cobalt": COBALT}
GOLDENS = sorted((REPO / "tests" / "golden").glob("mantle.*.sh"))
PAIRS = [(a, b) for a in SCRIPTS for b in SCRIPTS if a != b]


def head(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("#PBS", "#SBATCH", "#COBALT"))]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_convert__passes_lint_and_bash(source, target):
    text = convert(SCRIPTS[source], source, target).text
    found = lint_text(text, "new", target, is_executable=True)
    assert [str(f) for f in found if f.severity == "error"] == []
    assert find_schedulers(text) == [target]
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    reading = read_script(text, target)
    assert not reading.ignored
    assert not reading.faults


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_convert__says_what_the_old_one_said(source, target):
    old = request_of(read_script(SCRIPTS[source], source))
    new = request_of(read_script(convert(SCRIPTS[source], source, target).text, target))
    for name in ("name", "account", "queue", "nodes", "walltime_s"):
        assert getattr(new, name) == getattr(old, name), name
    if "cobalt" not in (source, target):
        for name in ("ranks_per_node", "cpus_per_node", "gpus_per_node", "is_rerunnable"):
            assert getattr(new, name) == getattr(old, name), name


def test_convert__pbs_to_slurm():
    converted = convert(PBS, "pbs", "slurm")
    assert head(converted.text) == [
        "#SBATCH --job-name=mantle",
        "#SBATCH --account=Project1",
        "#SBATCH --partition=prod",
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=4",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --gpus-per-node=4",
        "#SBATCH --time=01:30:00",
        "#SBATCH --output=logs/%x.o%j",
        "#SBATCH --dependency=afterok:12.server",
        '#SBATCH --export="ALL,A=1,B=x y"',
    ]
    assert 'cd "$SLURM_SUBMIT_DIR" || exit 1' in converted.text
    assert 'echo "job $SLURM_JOB_ID in ${SLURM_JOB_PARTITION}"' in converted.text
    assert "# comments may stand here" in converted.text
    for kept in ("file systems home:eagle", "system=polaris", "-p 7", "#PBS -m abe"):
        assert any(kept in note for note in converted.notes), kept
        assert f"#   {kept}" in converted.text or f": {kept}\n" in converted.text, kept


def test_convert__slurm_to_pbs():
    converted = convert(SLURM, "slurm", "pbs")
    assert head(converted.text) == [
        "#PBS -N mantle",
        "#PBS -A Project1",
        "#PBS -q prod",
        "#PBS -l select=2:ncpus=32:mpiprocs=4:ngpus=4",
        "#PBS -l place=scatter",
        "#PBS -l walltime=30:00:00",
        "#PBS -j oe",
        "#PBS -o logs/",
        "#PBS -M a@b.org",
        "#PBS -m be",
        "#PBS -r y",
    ]
    assert 'cd "$PBS_O_WORKDIR" || exit 1' in converted.text
    assert any("--qos=high" in note for note in converted.notes)
    assert any("PBS does not" in note for note in converted.notes)


def test_convert__slurm_to_cobalt():
    converted = convert(SLURM, "slurm", "cobalt")
    assert head(converted.text) == [
        "#COBALT -n 2",
        "#COBALT -t 1800",
        "#COBALT -q prod",
        "#COBALT -A Project1",
        "#COBALT --jobname mantle",
        "#COBALT -M a@b.org",
        "#COBALT -o logs/mantle-$jobid.out",
    ]
    assert "$COBALT_JOBID: $COBALT_JOBSIZE ranks" in converted.text


def test_convert__values_that_can_be_worked_out_are(tmp_path):
    """The lines below the directives run, with the variables of PBS alone."""
    text = convert(SLURM, "slurm", "pbs").text.replace("mpirun", "echo mpirun")
    nodefile = tmp_path / "nodes"
    nodefile.write_text("a\n" * 4 + "b\n" * 4)
    env = {"PBS_O_WORKDIR": str(tmp_path), "PBS_NODEFILE": str(nodefile), "PBS_JOBID": "1.s"}
    env["PATH"] = "/usr/bin:/bin"
    done = subprocess.run(["bash"], input=text, text=True, capture_output=True, env=env)
    first, second = done.stdout.splitlines()
    assert first == "1.s: 8 ranks on 2 nodes"
    assert second.startswith("mpirun -np 8 ./run --cpus 8 --end 1")


def test_convert__a_node_file_for_slurm(tmp_path):
    text = convert(PBS, "pbs", "slurm").text.replace("mpiexec -n 8 --hostfile", "cat")
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    scontrol = bin_dir / "scontrol"
    scontrol.write_text("#!/bin/sh\nprintf 'nid01\\nnid02\\n'\n")
    scontrol.chmod(0o755)
    env = {"SLURM_SUBMIT_DIR": str(tmp_path), "PATH": f"{bin_dir}:/usr/bin:/bin"}
    text = text.replace(" ./run", "")
    done = subprocess.run(["bash"], input=text, text=True, capture_output=True, env=env)
    assert done.stdout.splitlines()[1:] == ["nid01"] * 4 + ["nid02"] * 4, done.stderr


def test_convert__names_commands_of_the_old_scheduler():
    notes = convert(SLURM + "srun ./x\nscontrol requeue 1\n", "slurm", "pbs").notes
    assert [n for n in notes if "replace it yourself" in n] == [
        "srun belongs to Slurm; replace it yourself in: srun ./x",
        "scontrol belongs to Slurm; replace it yourself in: scontrol requeue 1",
    ]


def test_convert__names_variables_without_an_equal():
    notes = convert(SLURM + "echo $SLURM_TOPOLOGY_ADDR\n", "slurm", "pbs").notes
    assert "variable SLURM_TOPOLOGY_ADDR has no equal in PBS" in notes


def test_convert__cobalt_needs_a_walltime():
    with pytest.raises(ConfigError, match="gives no walltime, and Cobalt refuses"):
        convert("#!/bin/bash\n#SBATCH -N 2\nls\n", "slurm", "cobalt")


def test_convert__to_itself():
    with pytest.raises(ConfigError, match="it is a script for PBS already"):
        convert(PBS, "pbs", "pbs")


def test_convert__several_kinds_of_chunks_are_kept_as_a_comment():
    script = PBS.replace("select=2", "select=1:ncpus=2+2")
    converted = convert(script, "pbs", "slurm")
    assert any(note.startswith("-l select=1:ncpus=2+2:") for note in converted.notes)
    assert "--nodes" not in converted.text


@pytest.mark.parametrize("value", ["a b", 'a"b', "a;b", "a$b", "é", "a\\\\b"])
def test_convert__hostile_values_stay_one_word(value):
    script = "#!/bin/bash\n#SBATCH -t 60\n#SBATCH --account='" + value.replace("\\", "\\\\") + "'\n"
    pbs = convert(script, "slurm", "pbs").text
    assert request_of(read_script(pbs, "pbs")).account == value
    slurm = convert(pbs, "pbs", "slurm").text
    assert request_of(read_script(slurm, "slurm")).account == value
    cobalt = convert(script, "slurm", "cobalt")
    found = request_of(read_script(cobalt.text, "cobalt")).account
    assert found == (None if " " in value else value)


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.name)
def test_convert__goldens_to_all_others(path):
    text = path.read_text()
    for source in find_schedulers(text):
        for target in set(SCRIPTS) - {source}:
            new = convert(text, source, target).text
            found = lint_text(new, "new", target, is_executable=True)
            assert [str(f) for f in found if f.severity == "error"] == [], target


def test_convert__variables_with_commas_stay_whole():
    script = PBS.replace("-v A=1,B='x y'", "-v \"A=1,B='x,y',C\"")
    slurm = convert(script, "pbs", "slurm").text
    assert request_of(read_script(slurm, "slurm")).env == (("A", "1"), ("B", "x,y"), ("C", None))


@pytest.mark.parametrize(
    ("line", "target", "lost"),
    [
        ("#SBATCH --array=1,5-7", "pbs", "array 1,5-7: PBS knows START-END:STEP%MOST only"),
        ("#SBATCH -d singleton", "pbs", "dependency singleton"),
        ("#SBATCH -a 0-9", "cobalt", "array 0-9: Cobalt has none, submit one job an index"),
        ("#SBATCH -d afterany:1", "cobalt", "dependency afterany"),
        ("#SBATCH -J 'a b'", "cobalt", "--jobname 'a b', as Cobalt knows no quotes"),
        ("#SBATCH -J a/b", "pbs", "job name 'a/b', which PBS refuses; it is a_b now"),
        ("#SBATCH --mem=0", "pbs", "--mem=0"),
    ],
)
def test_convert__what_the_target_does_not_know_is_said_and_kept(line, target, lost):
    converted = convert(f"#!/bin/bash\n#SBATCH -t 60\n{line}\nls\n", "slurm", target)
    assert any(note.startswith(f"{lost}: no equal") for note in converted.notes), converted.notes
    assert f"\n#   {lost}\n" in converted.text


def test_convert__who_counts_the_node_file_is_warned():
    assert any("COBALT_NODEFILE once" in note for note in convert(PBS, "pbs", "cobalt").notes)


def test_convert__the_environment_of_pbs():
    script = PBS.replace("-p 7", "-V")
    assert any("-V: the environment" in note for note in convert(script, "pbs", "cobalt").notes)
    assert not any("-V" in note for note in convert(script, "pbs", "slurm").notes)
