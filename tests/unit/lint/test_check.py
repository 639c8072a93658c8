"""`lint_text`: schedulers, false alarms, and rules that need more than one example."""

import pytest

from hpctrain.errors import ConfigError
from hpctrain.lint import Finding, keep_codes, lint_text
from tests.jobs import REPO

GOLDENS = sorted((REPO / "tests" / "golden").glob("*.sh"))
PBS = "#!/bin/bash\n#PBS -l select=1:ncpus=4:mpiprocs=4\n#PBS -l walltime=01:00:00\ncd x\n"
SLURM = "#!/bin/bash\n#SBATCH -N 1\n#SBATCH --time=01:00:00\n"


def codes(text: str, **options) -> list[tuple[str, int]]:
    return [(f.code, f.line) for f in lint_text(text, "x", **options)]


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.name)
def test_lint_text__no_false_alarm_on_our_own_scripts(path):
    found = lint_text(path.read_text(), path.name, is_executable=True)
    assert [str(f) for f in found] == []


def test_lint_text__finding_is_one_line():
    (found,) = lint_text(SLURM + "#SBATCH bad\nsrun x\n", "a b.sh")
    assert (
        str(found)
        == "a b.sh:4: HT014 'bad' is no option, and sbatch refuses it; write an option with --"
    )


def test_lint_text__every_scheduler_has_its_view():
    script = "#!/bin/bash\n\n#SBATCH -N 1\n#COBALT -n 1\n#PBS -q x\nls\n"
    by = {s: {c for c, _ in codes(script, scheduler=s)} for s in ("pbs", "slurm", "cobalt")}
    assert "HT019" in by["slurm"]
    assert "HT004" in by["cobalt"]
    assert "HT040" in by["pbs"]


def test_lint_text__a_script_of_no_scheduler_is_checked_for_the_rest():
    assert codes("#!/bin/sh\ncurl -s https://x.org/a | sh\necho $SLURM_LOCAL_ID\n") == [
        ("HT086", 2),
        ("HT062", 3),
    ]


@pytest.mark.parametrize(
    "text", ["", "\n", "#!/bin/bash", "\\", "'", "<<", "x=(", "#PBS", "#SBATCH"]
)
@pytest.mark.parametrize("scheduler", ["pbs", "slurm", "cobalt", "local", None])
def test_lint_text__odd_texts_are_read(text, scheduler):
    assert all(isinstance(f, Finding) for f in lint_text(text, "x", scheduler))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("NNODES=`wc -l < $PBS_NODEFILE`", "HT060"),
        ("nodes=$(cat $PBS_NODEFILE | wc -l)", "HT060"),
        ("NUM_RANKS=$(wc -l <$PBS_NODEFILE)", None),
        ("NO_OF_CORES=`cat $PBS_NODEFILE | wc -l`", None),
        ("NNODES=$(cat $PBS_NODEFILE | sort -u | wc -l)", None),
        ("qsub -W depend=afterok:${first%%.*} b.sh", None),
        ("qsub -W depend=afterok:${jobid%%.*} b.sh", "HT088"),
        ('qsub -W "depend=afterok:$first" b.sh', None),
        ("wget -O - https://x.org/a.sh | bash -s", "HT086"),
        ('eval "$(curl -s https://x.org/a.sh)"', "HT086"),
        ("curl -s https://x.org/data.csv | sort >data.csv", None),
        ("curl -O https://x.org/a.sh", None),
        ("echo 'curl x | sh is bad'  # curl x | sh", "HT086"),
        ("# curl x | sh", None),
        ("export CUDA_VISIBLE_DEVICES=$PMI_LOCAL_RANK", "HT066"),
        ("export CUDA_VISIBLE_DEVICES=$((PMI_RANK % 4))", "HT064"),
        ("export CUDA_VISIBLE_DEVICES=0,1", None),
        ("mpiexec -n 4 singularity exec --nv -e a.sif ./run", "HT067"),
        ("mpiexec -n 4 singularity exec --containall a.sif ./run", "HT067"),
        ("mpiexec -n 4 singularity exec --nv a.sif ./run -e 3 --cleanenv", None),
        ("singularity exec --cleanenv a.sif cat /etc/os-release", None),
        ('PBS_MY_OWN=1; echo "$PBS_MY_OWN"', None),
        ("echo ${SLURM_JOB_ID:-none}", None),
        ("python $(dirname $0)/train.py", "HT043"),
        ('echo "usage: $0 FILE"', None),
        ('cd "${BASH_SOURCE[0]%/*}"', "HT043"),
    ],
)
def test_lint_text__lines_in_a_pbs_script(line, code):
    assert codes(PBS + line + "\n") == ([] if code is None else [(code, 5)])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("trap x USR1\nsrun a", "HT080"),
        ("trap x USR1\npython a.py", "HT080"),
        ("trap x SIGUSR1\nsrun a &\nwait", None),
        ('trap x 10\ncommand=(srun a)\n"${command[@]}" & wait', None),
        ("srun a", "HT081"),
        ("exec python a.py", None),
        ("trap 'x' USR1 CONT\nsrun a & wait", "HT082"),
        ("trap x USR1\nif ! srun a; then exit 1; fi", "HT080"),
        ("trap x USR1\nsrun a | tee log &\nwait", None),
        ("trap x USR1\nsrun a | tee log", "HT080"),
        ("trap x USR1\nsrun a &", None),
        ("trap x USR1\npython prepare.py\nsrun a &\nwait", None),
        ("trap x USR1\npython --version\nsrun a & wait", None),
        ("trap '' USR1\nsrun a & wait", None),
        ("echo trap x USR1; srun a & wait", "HT081"),
    ],
)
def test_lint_text__batch_signal(body, code):
    found = codes(SLURM + "#SBATCH --signal=B:USR1@120\n" + body + "\n")
    assert [c for c, _ in found] == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("walltime", "is_found"),
    [("1:90:00", True), ("01:00:60", True), ("0:90:00", False), ("100:00:00", False)],
)
def test_lint_text__minutes_over_59(walltime, is_found):
    found = codes(PBS.replace("01:00:00", walltime))
    assert found == ([("HT030", 3)] if is_found else [])


def test_lint_text__directives_in_a_here_document_are_another_script():
    assert codes(PBS + "cat >b.sh <<END\n#PBS -q x\nEND\nqsub b.sh\n") == []


def test_lint_text__equal_directives_are_no_conflict():
    assert codes(PBS.replace("cd x", "#PBS -l walltime=01:00:00\ncd x")) == []


@pytest.mark.parametrize(
    ("path", "is_found"),
    [
        ("logs/%j.out", True),
        ("logs-%j/x.out", False),
        ("%j.out", False),
        ("/data/logs/x.out", True),
        ("here/x.out", False),
    ],
)
def test_lint_text__log_folders(path, is_found):
    text = SLURM + f"#SBATCH --output={path}\nsrun x\n"
    found = codes(text, has_folder=lambda folder: folder == "here")
    assert found == ([("HT041", 4)] if is_found else [])


def test_keep_codes__selects_and_ignores_by_the_beginning():
    found = [Finding("x", 1, code, "error", "t") for code in ("HT001", "HT002", "HT041")]
    assert [f.code for f in keep_codes(found, ["HT00"], ["HT002"])] == ["HT001"]
    assert keep_codes(found, [], []) == found
    with pytest.raises(ConfigError, match="found 'HT999'; allowed: codes of rules, HT001 to HT092"):
        keep_codes(found, ["HT999"], [])
