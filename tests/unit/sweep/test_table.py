"""Collecting results, of runs in every state."""

import pytest

from hpctrain.errors import ConfigError
from hpctrain.sweep.table import collect, short_names, sort_rows
from tests.unit.sweep.builders import GRID, add_point, sweep, write

SUMMARY = {
    "samples": 4,
    "windows": 4,
    "pixels": 99,
    "latent_dim": 8,
    "span": 5.5,
    "epoch": 3,
    "step": 39,
    "provenance": {"epoch": 3, "global_step": 39, "content_size": 7},
    "samples_per_s": 9.5,
    "variables": ["t"],
    "rmse": {"generator": {"t": 1.0}},
    "rmse_normalized": {"generator": 0.5, "trilinear": 0.75},
    "nan": float("nan"),
}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, sweep({"grid": GRID}))
    target = tmp_path / "mantle"
    losses = {"discriminator": 3.0, "generator": 0.25}
    done = {"status": "finished", "epoch": 11, "global_step": 40, "loss": losses}
    add_point(target, "001", {**done, "samples_per_s": 9.5}, SUMMARY)
    (target / "points" / "002" / "state.json").write_text('{"status": "runni')
    return target


def test_collect__a_row_a_point_whatever_its_state(folder):
    rows = collect(folder)
    assert [row["name"] for row in rows] == [f"{i:03}" for i in range(6)]
    assert rows[1] == {
        "name": "001",
        "train.epochs": 11,
        "train.optimizer.learning_rate": 0.002,
        "state": "finished",
        "epoch": 11,
        "step": 40,
        "loss": 0.25,
        "rmse_normalized/generator": 0.5,
        "rmse_normalized/trilinear": 0.75,
        "samples/s": 9.5,
        "where": str(folder / "points" / "001"),
    }
    assert [row["state"] for row in rows[:3]] == ["rendered", "finished", "unreadable"]
    assert {tuple(row) for row in rows} == {tuple(rows[1])}
    assert rows[0]["loss"] is None


def test_collect__a_plain_folder_shows_what_differs(tmp_path):
    for name, lines in {"a": "train: {epochs: 1}\n", "b": "train: {epochs: 2}\nname: b\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(f"site: local\n{lines}")
    rows = collect(tmp_path)
    assert [(row["name"], row["train.epochs"]) for row in rows] == [("a", 1), ("b", 2)]
    assert "site" not in rows[0]


def test_collect__no_run(tmp_path):
    with pytest.raises(ConfigError, match="no run directory in it"):
        collect(tmp_path)


def test_sort_rows__numbers_as_numbers_and_missing_last(folder):
    rows = sort_rows(collect(folder), "loss")
    assert rows[0]["name"] == "001"
    by_rate = sort_rows(collect(folder), "learning_rate")
    assert [row["train.optimizer.learning_rate"] for row in by_rate[::2]] == [0.001, 0.002, 0.004]
    with pytest.raises(ConfigError, match="unknown column 'los'; choose from .*'loss'"):
        sort_rows(rows, "los")


def test_short_names__shortest_end_that_is_unique():
    names = ["train.optimizer.lr", "train.adversary.optimizer.lr", "train.epochs", "epoch"]
    assert list(short_names(names).values()) == [
        "train.optimizer.lr",
        "adversary.optimizer.lr",
        "epochs",
        "epoch",
    ]
