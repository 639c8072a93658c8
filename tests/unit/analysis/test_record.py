"""Reading a run directory."""

import os

from hpctrain.analysis.record import keys, read_record, series

from . import fake_run


def test_read_record__step_that_was_made_again_replaces_its_first_try(finished_run):
    metrics = finished_run / "logs" / "metrics.jsonl"
    metrics.write_text(
        '{"kind":"train","epoch":0,"step":2,"loss/generator":9}\n'
        '{"kind":"train","epoch":0,"step":4,"loss/generator":8}\n'
        '{"kind":"validation","epoch":1,"step":4,"rmse/generator":3}\n'
        '{"kind":"train","epoch":0,"step":2,"loss/generator":1}\n'
        '{"kind":"validation","epoch":1,"step":4,"rmse/generator":2}\n'
    )
    record = read_record(finished_run)
    assert series(record.train, "step", "loss/generator") == ([2, 4], [1, 8])
    assert series(record.validation, "epoch", "rmse/generator") == ([1], [2])


def test_series__fields_come_and_go():
    lines = [{"step": 1, "a": 1.0}, {"step": 2}, {"step": 3, "a": "nan"}, {"step": 4, "a": 2.0}]
    assert series(lines, "step", "a") == ([1, 3, 4], [1.0, None, 2.0])


def test_keys__in_order_of_appearance():
    assert keys([{"loss/b": 1}, {"loss/a": 1, "x": 1, "loss/b": 1}], "loss/") == [
        "loss/b",
        "loss/a",
    ]


def test_read_record__checkpoints_oldest_first_and_latest_marked(finished_run):
    for age, name in enumerate(["state_20.pt", "state_19.pt", "state_18.pt"]):
        os.utime(finished_run / "checkpoints" / name, (1000 - age, 1000 - age))
    checkpoints = read_record(finished_run).checkpoints
    assert [c.name for c in checkpoints] == ["state_18.pt", "state_19.pt", "state_20.pt"]
    assert [c.is_latest for c in checkpoints] == [False, False, True]


def test_read_record__figures_in_the_order_of_the_variables(finished_run):
    record = read_record(finished_run)
    assert list(record.figures) == [*fake_run.VARIABLES, "spectra"]
    assert record.figures["vx"].name == "epoch_0020_vx.png"


def test_read_record__log_tail_is_short_and_plain(finished_run):
    (finished_run / "logs" / "run.log").write_bytes(b"\x1b[2Kline \xff\n" * 5000 + b"the end\n")
    name, text = read_record(finished_run).log
    assert name == "run.log"
    assert text.endswith("the end")
    assert "\x1b" not in text
    assert len(text.splitlines()) == 40
