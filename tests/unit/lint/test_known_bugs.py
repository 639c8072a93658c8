"""Bugs that other tools shipped in their templates, each in a script that has it.

The letters are those of the survey that found them.
"""

import pytest

from hpctrain.lint import lint_text

PBS = "#!/bin/bash\n#PBS -l walltime=01:00:00\n{}\ncd $PBS_O_WORKDIR\nmpiexec ./run\n"
SLURM = "#!/bin/bash\n#SBATCH --time=01:00:00\n{}\nsrun ./run\n"
BUGS = {
    "a: a count that the template did not know": (PBS.format("#PBS -l procs="), {"HT016"}),
    "b: literal quotes in an argument list": (
        PBS.format("") + "qsub '-W' 'depend=\"afterok:123\"' next.sh\n",
        {"HT087"},
    ),
    "b: the same in a directive": (
        PBS.format('#PBS -W depend="afterok:123"'),
        {"HT089"},
    ),
    "b: an id cut at its first dot": (
        PBS.format("") + "id=$(qsub a.sh | cut -d. -f1)\nqsub -W depend=afterok:$id b.sh\n",
        {"HT088"},
    ),
    "c: GPUs asked for twice": (
        SLURM.format("#SBATCH --gpus-per-node=4\n#SBATCH --gres=gpu:4"),
        {"HT025"},
    ),
    "d: minutes without the remainder": (
        PBS.format("").replace("01:00:00", "1:90:00"),
        {"HT030"},
    ),
    "e: a local rank by a wrong name": (
        SLURM.format("") + "python -c 'import os; os.environ.get(\"SLURM_LOCAL_ID\", 0)'\n",
        {"HT062"},
    ),
    "f: code fetched at run time": (
        PBS.format("source <(curl -fsSL https://bit.ly/some-utils)"),
        {"HT086"},
    ),
    "g: the user's select behind the tool's": (
        PBS.format(
            "#PBS -l select=1:ncpus=1\n#PBS -l place=scatter\n#PBS -l select=2:ncpus=4:ngpus=4"
        ),
        {"HT020"},
    ),
    "h: a duration that the template did not know": (
        "#!/bin/bash\n#COBALT -n 1\n#COBALT --time=\n./run\n",
        {"HT016"},
    ),
    "h: blank lines before the user's directives": (
        "#!/bin/bash\n#COBALT -n 1 -t 10\n\n#COBALT --attrs a=b\n\n#COBALT -o x.out\n./run\n",
        {"HT004"},
    ),
    "i: an equals sign and quotes behind -N": (PBS.format('#PBS -N="x"'), {"HT050"}),
}


@pytest.mark.parametrize("bug", BUGS)
def test_known_bug__is_found(bug):
    script, codes = BUGS[bug]
    assert {f.code for f in lint_text(script, "x") if f.code != "HT034"} == codes


def test_known_bug__j_names_up_to_230_characters_are_no_error():
    found = lint_text(PBS.format("#PBS -N " + "x" * 230), "x")
    assert [(f.code, f.severity) for f in found] == [("HT052", "warning")]
