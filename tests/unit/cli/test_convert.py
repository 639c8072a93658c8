"""`hpctrain convert`: where the new script goes, and what is said."""

import os

import pytest

from hpctrain.cli import main

OLD = """#!/bin/bash
#PBS -l select=2:ncpus=4:mpiprocs=4,walltime=1:00:00
#PBS -p 7
cd $PBS_O_WORKDIR
"""


@pytest.fixture
def old(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.pbs").write_text(OLD)
    return tmp_path


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(["convert", *argv])
    return info.value.code or 0


def test_convert__prints_the_script_and_says_what_is_lost(old, capsys):
    assert run("old.pbs", "--to", "slurm") == 0
    out, err = capsys.readouterr()
    assert out.startswith("#!/bin/bash\n#SBATCH --nodes=2\n")
    assert "cd $SLURM_SUBMIT_DIR\n" in out
    assert err == "hpctrain: old.pbs: -p 7: no equal in Slurm, kept as a comment\n"


def test_convert__out(old, capsys):
    assert run("old.pbs", "--to", "cobalt", "--out", "new.sh") == 0
    assert capsys.readouterr().out == ""
    assert (old / "new.sh").read_text().startswith("#!/bin/bash\n#COBALT -n 2\n#COBALT -t 60\n")
    assert os.access(old / "new.sh", os.X_OK)


def test_convert__keeps_what_is_there(old, capsys):
    (old / "new.sh").write_text("mine")
    assert run("old.pbs", "--to", "slurm", "--out", "new.sh") == 2
    assert "new.sh: is there already" in capsys.readouterr().err
    assert (old / "new.sh").read_text() == "mine"


def test_convert__faults_of_the_old_script_are_said(old, capsys):
    (old / "old.pbs").write_text(OLD + "echo $SLURM_LOCAL_ID\n")
    assert run("old.pbs", "--to", "slurm") == 0
    assert "left from the old script: old.pbs:" in capsys.readouterr().err


def test_convert__what_cobalt_refuses_is_not_written(old, capsys):
    (old / "old.pbs").write_text("#!/bin/bash\n#PBS -l select=2\nls\n")
    assert run("old.pbs", "--to", "cobalt", "--out", "new.sh") == 2
    assert "hpctrain: old.pbs: it gives no walltime" in capsys.readouterr().err
    assert not (old / "new.sh").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("nosuch", "--to", "pbs"), "nosuch: No such file or directory"),
        (("old.pbs", "--to", "lsf"), "--to: found 'lsf'; choose from pbs, slurm, cobalt for a"),
        (("old.pbs", "--to", "pbs"), "old.pbs: it is a script for PBS already"),
        (("plain.sh", "--to", "pbs"), "plain.sh: has no directives; allowed: lines that start"),
        (("old.pbs", "--to", "slurm", "--out", "no/x"), "no/x: No such file or directory; allowed"),
    ],
)
def test_convert__bad_input_is_one_sentence(old, capsys, argv, message):
    (old / "plain.sh").write_text("#!/bin/bash\nls\n")
    assert run(*argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"hpctrain: {message}")
    assert len(err.splitlines()) == 1


def test_convert__a_full_disk_leaves_nothing(old, capsys):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        assert run("old.pbs", "--to", "slurm", "--out", "new.sh") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "new.sh: File too large" in capsys.readouterr().err
    assert not (old / "new.sh").exists()
