"""Programs that are missing, late, or say something."""

import time

import pytest

from hpctrain.errors import SchedulerError
from hpctrain.schedulers.run import NoAnswerError, run


def test_run__words_are_passed_as_they_are(programs):
    calls = programs("qsub", "echo 1.srv; echo hello >&2; exit 3")
    answer = run(["qsub", "-N", "a b;$HOME`id`"])
    assert (answer.code, answer.out, answer.err) == (3, "1.srv\n", "hello\n")
    assert calls.read_text() == "-N a b;$HOME`id`\n"
    assert answer.words == "  $ qsub -N 'a b;$HOME`id`'\n  hello\n  1.srv"


def test_run__silence_is_told_with_the_exit_code(programs):
    programs("qstat", "exit 1")
    assert run(["qstat"]).words == "  $ qstat\n  (nothing; exit code 1)"


def test_run__missing_program(programs):
    with pytest.raises(SchedulerError, match="squeue: no such program in PATH; call this on a"):
        run(["squeue", "--me"])


def test_run__not_executable(programs, tmp_path):
    programs("qstat")
    (tmp_path / "bin" / "qstat").write_text("garbage")
    with pytest.raises(SchedulerError, match=r"qstat: cannot be started.*PATH.*\n  \$ qstat$"):
        run(["qstat"])


def test_run__late_answer_ends_the_children_too(programs):
    programs("squeue", "sleep 60 & sleep 60")
    start = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"squeue: no answer within 0.3 s.*\n  \$ squeue -x"):
        run(["squeue", "-x"], timeout_s=0.3)
    assert time.monotonic() - start < 10


def test_run__bytes_that_are_no_text(programs):
    programs("qstat", r"printf '\377\376'")
    assert run(["qstat"]).out == "��"


def test_run__the_place_in_a_chain_is_not_handed_on(programs, monkeypatch):
    monkeypatch.setenv("HPCTRAIN_CHAIN_JOB", "7")
    programs("sbatch", 'echo "${HPCTRAIN_CHAIN_JOB-unset}"')
    assert run(["sbatch"]).out == "unset\n"
