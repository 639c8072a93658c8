"""#SBATCH lines: what a real Slurm 22.05 read, and what it refused."""

import pytest

from hpctrain.directives.slurm import read_slurm


def options(script: str) -> list[tuple[str, str | None]]:
    return [(d.option, d.value) for d in read_slurm(script).read]


def test_read_slurm__blank_and_comment_lines_end_nothing():
    script = "#!/bin/bash\n\n# note\n  # another\n#SBATCH -N 2\nls\n#SBATCH -n 4"
    reading = read_slurm(script)
    assert options(script) == [("--nodes", "2")]
    assert [(d.line, d.why_ignored) for d in reading.ignored] == [
        (7, "it stands behind the first command, in line 6")
    ]


def test_read_slurm__indented_lines_are_not_read():
    reading = read_slurm("#!/bin/bash\n  #SBATCH -N 2\n#SBATCH -n 4")
    assert [d.option for d in reading.read] == ["--ntasks"]
    assert [(d.line, d.why_ignored) for d in reading.ignored] == [
        (2, "it does not start in the first column")
    ]


def test_read_slurm__a_comment_behind_an_option_is_taken_off():
    assert options("#SBATCH -N 2 # two\n#SBATCH --comment='a # b' -n4") == [
        ("--nodes", "2"),
        ("--comment", "a # b"),
        ("--ntasks", "4"),
    ]


def test_read_slurm__a_hash_in_a_word_ends_it():
    reading = read_slurm("#SBATCH -J a#b -N 2 # two")
    assert reading.value("--job-name") == "a"
    assert (len(reading.read), reading.faults) == (1, ())


def test_read_slurm__forms_of_options():
    script = (
        "#SBATCH --time 1:00:00 --job-n=a --exclusive --requeue -pgpu -HO\n#SBATCH -N\n#SBATCH 3"
    )
    assert options(script) == [
        ("--time", "1:00:00"),
        ("--job-name", "a"),
        ("--exclusive", None),
        ("--requeue", None),
        ("--partition", "gpu"),
        ("--hold", None),
        ("--overcommit", None),
        ("--nodes", "3"),
    ]


def test_read_slurm__last_of_equal_options_wins():
    assert read_slurm("#SBATCH -N 1\n#SBATCH --nodes=2").value("--nodes") == "2"


@pytest.mark.parametrize(
    ("line", "kind", "word", "hint"),
    [
        ("#SBATCH nodes=2", "stray", "nodes=2", ""),
        ("#SBATCH --ntask-per-node=4", "unknown", "--ntask-per-node", "--ntasks-per-node"),
        ("#SBATCH --gpus-per=4", "unknown", "--gpus-per", "--gpus-per-node"),
        ("#SBATCH -Y 4", "unknown", "-Y", ""),
        ("#SBATCH --time", "no value", "--time", ""),
        ("#SBATCH --comment='a", "quote", "'", ""),
    ],
)
def test_read_slurm__what_sbatch_refuses(line, kind, word, hint):
    first = read_slurm(line).faults[0]
    assert (first.kind, first.word, first.hint) == (kind, word, hint)
