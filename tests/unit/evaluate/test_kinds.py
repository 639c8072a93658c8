"""Runs of all kinds can be evaluated: given inputs, one resolution, planes, styles, other grids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hpctrain.analysis.report import write_report
from hpctrain.errors import ConfigError
from hpctrain.evaluate.command import evaluate_run
from hpctrain.evaluate.fields import WholeFields
from tests.unit.data.builders import NAMES, write_spheres
from tests.unit.predict.made import SMALL, make_run
from tests.unit.predict.test_exact import BOX, SR, generator_of, write_boxes

SHARPEN = {"task": "super_resolution", "upscale_factor": 2, "generator": SR}
TRANSLATE = {"task": "field_to_field", "generator": generator_of({"norm": None})}
FLAT = {"task": "field_to_field", "generator": generator_of({"dims": 2})}
STYLED = {**SHARPEN, "generator": {"kind": "styled", "channels": SMALL}}


@pytest.mark.parametrize(
    ("shapes", "data", "train", "kinds"),
    [
        ({"out": (2, 16, 12, 8)}, {}, SHARPEN, ["generator", "trilinear", "tricubic"]),
        (
            {"in": (2, 8, 6, 4), "out": (2, 16, 12, 8)},
            {"inputs": ["in*.npy"]},
            SHARPEN,
            ["generator", "trilinear", "tricubic"],
        ),
        (
            {"in": (1, 8, 8, 8), "out": (1, 8, 8, 8)},
            {"inputs": ["in*.npy"]},
            TRANSLATE,
            ["generator", "input"],
        ),
        ({"in": (2, 8, 8, 8), "out": (1, 8, 8, 8)}, {"inputs": ["in*.npy"]}, TRANSLATE, None),
        (
            {"in": (1, 3, 8, 8), "out": (1, 3, 8, 8)},
            {"inputs": ["in*.npy"], "crop": [1, 8, 8]},
            FLAT,
            ["generator", "input"],
        ),
        (
            {"out": (1, 16, 16, 16)},
            {"styles": "styles.csv"},
            STYLED,
            ["generator", "trilinear", "tricubic"],
        ),
        # samples that leave most of the field out
        (
            {"out": (1, 16, 16, 16)},
            {"crop_start": [0, 0, 0], "crop_stop": [1, 1, 1]},
            SHARPEN,
            ["generator", "trilinear", "tricubic"],
        ),
    ],
    ids=["block-means", "given", "translated", "unequal", "planes", "styled", "part"],
)
def test_evaluate__of_each_kind_of_run(
    tmp_path: Path,
    shapes: dict[str, tuple[int, ...]],
    data: dict[str, Any],
    train: dict[str, Any],
    kinds: list[str] | None,
) -> None:
    folder = tmp_path / "data"
    write_boxes(folder, shapes)
    (folder / "styles.csv").write_text("file,a\nout0.npy,0.2\nout1.npy,0.7\n")
    styles = 1 if "styles" in data else 0
    run = make_run(folder, {**BOX, "targets": ["out*.npy"], **data}, train, styles)
    page = evaluate_run(run, members=2, fields=None)
    (step,) = page["steps"]
    assert list(step["rmse"]) == (kinds or ["generator"])
    truth = np.load(folder / "out1.npy")
    np.testing.assert_array_equal(WholeFields(run).truth(0), truth)
    for variable, channel in zip(page["variables"], truth, strict=True):
        found = step["deviation"][variable]
        np.testing.assert_allclose(found, channel.std((1, 2)), rtol=1e-5)
    has_noise = train["task"] == "super_resolution"
    assert page["members"] == (2 if has_noise else 0)
    assert ("rank_histogram" in step) == has_noise
    json.loads((run / "eval" / "whole.json").read_text(), parse_constant=pytest.fail)
    if kinds is None or "input" in kinds:  # the others are drawn in other tests
        assert "is damaged" not in write_report(run).read_text()


def test_evaluate__on_another_grid_and_some_shells(tmp_path: Path) -> None:
    fields = write_spheres(tmp_path / "data", count=2, shape=(9, 12, 16))
    grid = {"shells": [1, 9], "grid": [8, 12, 12]}
    data = {"targets": ["m*.nc"], "crop": [4, 4, 4], "variables": list(NAMES), **grid}
    run = make_run(tmp_path / "data", data, SHARPEN)
    page = evaluate_run(run, members=0, fields=None)
    truth = WholeFields(run).truth(0)
    assert truth.shape == (4, 8, 12, 12)
    # the first of twelve columns begins where the first of sixteen does, and is a third wider
    expected = fields[1][:, 1:, :, 0] * 5 / 6 + fields[1][:, 1:, :, 1] / 6
    np.testing.assert_allclose(truth[..., 0], expected, atol=1e-5)
    assert len(page["radii"]) == 8
    assert page["geometry"] == "globe"


def test_evaluate__of_another_task_says_so(tmp_path: Path) -> None:
    write_boxes(tmp_path / "data", {"out": (1, 16, 16, 16)})
    run = make_run(tmp_path / "data", {**BOX, "targets": ["out*.npy"]}, SHARPEN)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["train"] = {"task": "field_gan", "epochs": 1, "global_batch_size": 1}
    config["data"] |= {"crop": [16, 16, 16]}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError, match="field_gan, which makes no fields out of fields"):
        evaluate_run(run, members=0, fields=None)
