"""`hpctrain study`: the list, what is written, what is refused, answers of runs that are done."""

import json

import pytest

from hpctrain.cli import main
from hpctrain.provenance import read
from hpctrain.study.questions import QUESTIONS
from tests.runs import make_small

SMALL = ("--set", "resources.ranks_per_node=1", "--set", "train.global_batch_size=2")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    make_small(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*argv):
    with pytest.raises(SystemExit) as info:
        main(list(argv))
    return info.value.code or 0


def test_study__without_a_name_lists_the_questions(capsys):
    assert run("study") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[::2]] == list(QUESTIONS)
    assert run("study", "--json") == 0
    assert [page["name"] for page in json.loads(capsys.readouterr().out)] == list(QUESTIONS)


def finish(run_dir, loss, precision="float32"):
    """What a training of four steps leaves behind."""
    (run_dir / "logs").mkdir(exist_ok=True)
    lines = [
        {"kind": "train", "step": 4, "samples_per_s": 4.0, "cpu_s": 9.0},
        {"kind": "validation", "step": 4, "rmse/generator": loss, "other": 1.0},
    ]
    text = "".join(json.dumps({"epoch": 1, "time": 1.0, **line}) + "\n" for line in lines)
    (run_dir / "logs" / "metrics.jsonl").write_text(text)
    (run_dir / "state.json").write_text(
        json.dumps({"status": "finished", "step": 4, "precision": precision})
    )


def test_study__on_a_batch_machine_is_rendered_then_answered_by_the_same_line(folder, capsys):
    line = ("study", "batch", "small.yaml", "--values", "2,4", "--site", "generic-slurm", *SMALL)
    assert run(*line) == 0
    out = capsys.readouterr().out.splitlines()
    assert "4 points as one job array" in out[0]
    assert out[-1] == "then: hpctrain study batch jobs/small-batch"
    points = folder / "jobs" / "small-batch" / "points"
    for name, loss in (("000", 2.0), ("001", 1.0), ("002", 2.01)):
        finish(points / name, loss)
    assert run(*line) == 0
    out = capsys.readouterr().out
    assert "4 (1) has the lowest rmse/generator, before 2 (2.005)" in out
    assert "1 of 4 runs are not done: this may change" in out
    finish(points / "003", 1.01, "bfloat16")
    assert run("study", "batch", "small-batch", "--json", "--clock", "cpu") == 0
    page = json.loads(capsys.readouterr().out)
    assert [row["cpu_s"] for row in page["rows"]] == [9.0, 9.0]
    assert [row["precision"] for row in page["rows"]] == ["float32", "float32, bfloat16"]
    assert any("(float32: 2, 4; bfloat16: 4)" in text for text in page["answer"])
    assert page["answer"][1].startswith("at equal time, 9 CPU s of training: 4 (1.005)")
    target = folder / "jobs" / "small-batch"
    assert (target / "answer.csv").read_text().splitlines()[0].startswith("batch,runs,steps")
    for name in ("answer.csv", "answer.json", "answer.png", "answer.svg"):
        assert read(target / name).is_intact
        assert read(target / name).stamp.run_name == "000"
    assert run("study", "batch", "small-batch", "--metric", "othr") == 2
    assert "unknown 'othr'; choose from rmse/generator, other" in capsys.readouterr().err
    assert run("study", "rate", "small-batch") == 2
    assert "is a study of batch, not of rate" in capsys.readouterr().err
    assert run("study", "batch", "small-batch", "--seeds", "3") == 2
    assert "whose runs are what they are" in capsys.readouterr().err
    assert run(*line, "--epochs", "9") == 3
    assert "this sweep has started" in capsys.readouterr().err


def test_study__on_a_batch_machine_standard_output_is_json_alone(folder, capsys):
    assert run("study", "rate", "small.yaml", "--site", "generic-slurm", "--json", *SMALL) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"folder": "jobs/small-rate", "answer": None}
    assert "then: hpctrain study rate jobs/small-rate" in err


def test_study__render_only_starts_nothing(folder, capsys):
    line = ("study", "schedules", "small.yaml", "--seeds", "1", "--render-only", *SMALL)
    assert run(*line) == 0
    out = capsys.readouterr().out
    assert "9 points" in out
    assert "next: jobs/small-schedules/run.sh" in out
    assert run("study", "schedules", "small-schedules") == 2
    assert "no run of the study has been validated yet" in capsys.readouterr().err


def test_study__says_which_runs_failed(folder, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    line = ("study", "rate", "small.yaml", "--seeds", "1", "--set", "launch.python=/bin/false")
    assert run(*line, *SMALL) == 6
    out, err = capsys.readouterr()
    assert "failed with exit code" in out
    assert "1 runs failed (000); see hpctrain why jobs/small-rate/points/000" in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["block"], "unknown question 'block'; choose from blocks, pool"),
        (["rate"], "study rate: lacks a job"),
        (["rate", "nowhere.yaml"], "no such job file"),
        (["blocks", "small.yaml"], "has no train.network.block"),
        (["rate", "small.yaml", "--rate", "sqrt"], "it is for batch"),
        (["batch", "small.yaml", "--rate", "cubic"], "choose from linear, sqrt, none"),
        (["batch", "small.yaml", "--values", "2,,4"], "give each value once"),
        (["batch", "small.yaml", "--values", "2,2"], "give each value once"),
        (["batch", "small.yaml", "--values", "3"], "3"),
        (["rate", "small.yaml", "--metric", "loss"], "compares no validation"),
        (
            ["batch", "small.yaml", "--metric", "rmse/generatr"],
            "rmse/generator, log_spectrum_error/generator. Did you mean 'rmse/generator'?",
        ),
        (["schedules", "small.yaml", "--clock", "sun"], "choose from wall, cpu"),
        (["schedules", "small.yaml", "--clock", "cpu"], "compares nothing at equal time"),
        (["rate", "small.yaml", "--json", "--render-only"], "makes none; leave one out"),
    ],
)
def test_study__bad_input_writes_nothing(folder, capsys, argv, words):
    assert run("study", *argv) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert not (folder / "jobs").exists()
