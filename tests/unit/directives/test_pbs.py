"""#PBS lines: what a real OpenPBS 23.06 read, and what it refused."""

import pytest

from hpctrain.directives.pbs import read_pbs


def options(script: str) -> list[tuple[str, str | None]]:
    return [(d.option, d.value) for d in read_pbs(script).read]


def faults(script: str) -> list[tuple[int, str, str]]:
    return [(f.line, f.kind, f.word) for f in read_pbs(script).faults]


def test_read_pbs__blanks_comments_and_indents_end_nothing():
    script = "#!/bin/bash\n\n# note\n: a colon comments\n  #PBS -N a\n#PBS\t-q b\nls\n#PBS -A c"
    with pytest.raises(AssertionError):  # a colon in the first column only
        assert options(script.replace(": a", " : a")) == [("-N", "a"), ("-q", "b")]
    assert options(script) == [("-N", "a"), ("-q", "b")]


def test_read_pbs__behind_the_first_command_nothing_counts():
    reading = read_pbs("#!/bin/bash\n#PBS -N a\nls\n#PBS -A c\ncat <<E\n#PBS -q d\nE\n")
    assert [(d.line, d.why_ignored) for d in reading.ignored] == [
        (4, "it stands behind the first command, in line 3")
    ]
    assert reading.end == 3


def test_read_pbs__several_options_quotes_and_lists():
    script = "#PBS -N a -j oe -l select=2:ncpus=4,walltime=1:00:00 -v \"A=1,B='x y'\" -hV"
    assert options(script) == [
        ("-N", "a"),
        ("-j", "oe"),
        ("-l select", "2:ncpus=4"),
        ("-l walltime", "1:00:00"),
        ("-v", "A=1,B='x y'"),
        ("-h", None),
        ("-V", None),
    ]


def test_read_pbs__w_is_split_at_its_names_only():
    script = "#PBS -W depend=afterok:1:2,afterany:3,umask=022"
    assert options(script) == [("-W depend", "afterok:1:2,afterany:3"), ("-W umask", "022")]


def test_read_pbs__a_backslash_continues_a_line():
    assert options("#PBS -l select=2:\\\nncpus=4\n#PBS -N a") == [
        ("-l select", "2:ncpus=4"),
        ("-N", "a"),
    ]


def test_read_pbs__first_of_equal_options_wins():
    reading = read_pbs("#PBS -N a\n#PBS -N b\n#PBS -l mem=1gb\n#PBS -l mem=2gb,ncpus=3")
    assert {name: d.value for name, d in reading.in_force.items()} == {
        "-N": "a",
        "-l mem": "1gb",
        "-l ncpus": "3",
    }


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("#PBS -N a # note", (1, "stray", "#")),
        ("#PBS walltime=1", (1, "stray", "walltime=1")),
        ("#PBS --name=a", (1, "unknown", "--name=a")),
        ("#PBS -Y a", (1, "unknown", "-Y")),
        ("#PBS -N", (1, "no value", "-N")),
        ("#PBS -N 'a", (1, "quote", "'")),
    ],
)
def test_read_pbs__what_qsub_refuses(line, fault):
    assert faults(line) == [fault]


def test_read_pbs__a_space_behind_the_hash_makes_a_comment():
    assert options("# PBS -N a\n##PBS -N b\n#pbs -N c\n#PBS -N d") == [("-N", "d")]


def test_read_pbs__a_short_option_takes_the_equals_sign():
    assert options('#PBS -N="x"') == [("-N", "=x")]
