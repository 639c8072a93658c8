"""`hpctrain submit`, against programs that answer as Slurm's would."""

import json

import pytest

from hpctrain.cli import main
from tests.queues import handed_in, set_state
from tests.runs import make_small


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as info:
        main(argv)
    return info.value.code or 0


def test_submit__a_run_directory_by_name_or_path(programs, runs, capsys):
    programs("sbatch", "echo Submitted batch job 100")
    runs("a")
    runs("b")
    assert run("submit", "--no-check", "a", "jobs/b") == 0
    assert capsys.readouterr().out.splitlines() == [
        "jobs/a: handed in as job 100",
        "jobs/b: handed in as job 100",
    ]


def test_submit__json(programs, runs, capsys):
    programs("sbatch", "echo Submitted batch job 100")
    folder = runs("a")
    assert run("submit", "--no-check", "--hold", "--json", "a") == 0
    (page,) = json.loads(capsys.readouterr().out)
    assert (page["run"], page["job_id"], page["held"]) == ("a", "100", True)
    assert page["command"] == ["sbatch", "--hold", f"{folder}/run.slurm"]


def test_submit__says_what_it_waits_for(programs, runs, capsys):
    programs("sbatch", "echo Submitted batch job 101")
    programs("squeue", "echo '100|RUNNING|0||||None|'")
    handed_in(runs("a"), "submit 100")
    runs("b", "generic-slurm", "after={a: any}")
    assert run("submit", "--no-check", "b") == 0
    assert capsys.readouterr().out == "jobs/b: handed in as job 101, behind a (job 100, any)\n"


def test_submit__json_of_what_was_handed_in_before_a_refusal(programs, runs, capsys):
    programs("sbatch", "echo Submitted batch job 100")
    runs("a")
    set_state(runs("b"), status="finished")
    assert run("submit", "--no-check", "--json", "a", "b") == 4
    said = capsys.readouterr()
    assert [page["run"] for page in json.loads(said.out)] == ["a"]
    assert "hpctrain: jobs/b: the training is finished" in said.err


def test_submit__refusal_is_told_in_full(programs, runs, capsys):
    programs("sbatch", "echo 'sbatch: error: Batch job submission failed: x' >&2; exit 1")
    runs("a")
    assert run("submit", "--no-check", "a") == 4
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "hpctrain: jobs/a: slurm refused the job"
    assert lines[2] == "hpctrain:   sbatch: error: Batch job submission failed: x"
    assert lines[3] == "hpctrain: the script is kept: jobs/a/run.slurm"


def test_submit__errors_of_the_check_stop_it(programs, runs, capsys):
    programs("sbatch", "case $* in *test-only*) ;; *) echo Submitted batch job 100 ;; esac")
    folder = runs("a")  # its data folder is not there
    assert run("submit", "a") == 2
    said = capsys.readouterr()
    assert "hpctrain: error: data.root" in said.err
    assert "jobs/a: nothing was handed in; mend it, or hand it in all the same" in said.err
    assert said.out == ""
    assert not (folder / "submitted.log").exists()


@pytest.mark.parametrize(
    "option", [["--set", "train.epochs=3"], ["--site", "local"], ["--as", "b"]]
)
def test_submit__options_of_a_job_file_do_not_fit_a_run(programs, runs, capsys, option):
    runs("a")
    assert run("submit", "a", *option) == 2
    assert "a run directory is handed in as it is" in capsys.readouterr().err


def test_submit__as_names_one_run(capsys):
    assert run("submit", "a.yaml", "b.yaml", "--as", "c") == 2
    assert "--as: names one run" in capsys.readouterr().err


def test_submit__no_such_job(capsys):
    assert run("submit", "nothing") == 2
    assert "nothing: no such job file" in capsys.readouterr().err


def test_submit__no_scheduler_on_this_host(programs, runs, capsys):
    runs("a")
    assert run("submit", "--no-check", "a") == 4
    assert "sbatch: no such program in PATH; call this on a login node" in capsys.readouterr().err


def test_submit__out_is_where_runs_are_made_and_looked_for(programs, tmp_path, monkeypatch):
    programs("sbatch", "echo Submitted batch job 100")
    make_small(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = ("submit", "--no-check", "--out", "elsewhere", "--site", "generic-slurm")
    assert run(*asked, "small") == 0
    assert (tmp_path / "elsewhere" / "small" / "submitted.log").is_file()
    assert not (tmp_path / "jobs").exists()
