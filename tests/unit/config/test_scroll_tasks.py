"""Jobs on scrolls that cannot work are refused, each with the key and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hpctrain.config.job import Job
from hpctrain.config.run_facts import run_facts

DATA = {"kind": "scroll", "volumes": ["a"], "sample": "cube", "window": [16, 16, 16]}
PLAIN = {"epochs": 1, "global_batch_size": 2}


def job(task: str, data: dict[str, Any] | None = None, **train: Any) -> Job:
    sample = {"sample": "surface"} if task == "ink" else {}
    return Job.model_validate(
        {
            "name": "x",
            "resources": {"ranks_per_node": 1, "walltime": "00:10:00"},
            "data": {**DATA, "samples_per_epoch": 4, **sample, **(data or {})},
            "train": {"task": task, **PLAIN, **train},
        }
    )


def plateau(metric: str, **more: str) -> dict[str, Any]:
    return {"kind": "plateau", "plateau": {"metric": metric, **more}}


def test_plateau__goes_the_way_of_its_metric() -> None:
    job("ink", schedule=plateau("validation/f05", mode="max"))
    job("ink", schedule=plateau("validation/loss"))
    job("scroll_vae", schedule=plateau("train/loss/vae", mode="max"))  # as asked for


def test_alarms__may_change_while_a_run_goes_on() -> None:
    facts = [run_facts(job("ink", alarms={"spike": spike})) for spike in (0, 9)]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("task", ["scroll_vae", "ink"])
def test_job__with_defaults_is_accepted(task: str) -> None:
    block = job(task).train
    assert block.rising >= {"validation/auc", "validation/psnr"}
    assert "validation/loss" not in block.rising


def test_job__changes_that_keep_a_bernoulli_voxel_in_range_are_accepted() -> None:
    data = {"normalization": "percentiles", "augment": {"cutout": [4, 4], "blank_layers": 2}}
    assert job("scroll_vae", data, likelihood="bernoulli").train.task == "scroll_vae"
    data = {"normalization": "percentiles", "augment": {"noise_std": 0.1}}
    assert job("scroll_vae", data).train.task == "scroll_vae"


REFUSED: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "window": ("scroll_vae", {"window": [16, 20, 16]}, {}, "multiples of 8 along z, y, x"),
    "grid": (
        "scroll_vae",
        {},
        {"network": {"latent": "grid", "latent_dim": 20}},
        "grid has 8 cells, which cannot share 20",
    ),
    "linear grid": (
        "scroll_vae",
        {},
        {"network": {"latent": "grid", "latent_dim": 16, "linear_windows": 64}},
        "does not go with latent: grid",
    ),
    "few windows": (
        "scroll_vae",
        {},
        {"network": {"latent_dim": 64, "linear_windows": 63}},
        "linear_windows: found 63, fewer than latent_dim, which is 64",
    ),
    "linear logits": (
        "scroll_vae",
        {"normalization": "percentiles"},
        {"likelihood": "bernoulli", "network": {"latent_dim": 8, "linear_windows": 8}},
        "does not go with likelihood: bernoulli",
    ),
    "many components": (
        "scroll_vae",
        {"window": [8, 8, 8]},
        {"network": {"latent_dim": 513, "linear_windows": 600}},
        "has 512 voxels and so many principal components",
    ),
    "bernoulli": ("scroll_vae", {}, {"likelihood": "bernoulli"}, "give percentiles or limits"),
    "noise": (
        "scroll_vae",
        {"normalization": "percentiles", "augment": {"noise_std": 0.1}},
        {"likelihood": "bernoulli"},
        "found noise_std, and .*bernoulli wants values from 0 to 1.*; drop noise_std, or choose",
    ),
    "gain": (
        "scroll_vae",
        {"normalization": "percentiles", "augment": {"multiplicative_std": 1, "additive_std": 1}},
        {"likelihood": "bernoulli"},
        "drop multiplicative_std, additive_std, or choose likelihood: gaussian",
    ),
    "deviation": ("scroll_vae", {}, {"deviation": 0}, "learned, or a number above 0"),
    "both": ("scroll_vae", {}, {"likelihood": "bernoulli", "deviation": 1.0}, "no effect with"),
    "best": ("scroll_vae", {}, {"checkpoints": {"best": "validation/los"}}, "Did you mean"),
    "ema": ("ink", {}, {"ema": {"models": ["vae"]}}, "choose from ink"),
    "cubes": ("ink", {"sample": "cube"}, {}, "give surface"),
    "labels": ("ink", {"labels": None}, {}, "name their picture"),
    "rows": ("ink", {"window": [5, 12, 16]}, {}, "multiples of 8 along y, x"),
    "depth": ("ink", {"window": [5, 16, 16]}, {"network": {"kind": "encoder_decoder"}}, "along z"),
    "weights": ("ink", {}, {"initial_weights": {"path": "a.pt"}}, "choose kind: encoder_decoder"),
    "no loss": ("ink", {}, {"loss": {"bce": 0}}, "all weights are 0"),
    "weight": ("ink", {}, {"loss": {"bce": 0, "dice": 1, "ink_weight": 2}}, "bce and focal alone"),
    "plateau that rises": (
        "ink",
        {},
        {"schedule": plateau("validation/f05")},
        "found min, .* validation/f05 gets better, .* the larger it is; give mode: max",
    ),
    "plateau that falls": (
        "scroll_vae",
        {},
        {"schedule": plateau("validation/mse", mode="max")},
        "the smaller it is; give mode: min",
    ),
    "beta": ("ink", {}, {"loss": {"beta": 2}}, "beta has no effect without f_beta"),
    "gamma": ("ink", {}, {"loss": {"focal_gamma": 1}}, "give focal a weight"),
    "smooth": (
        "ink",
        {},
        {"loss": {"bce": 0, "dice": 1, "label_smoothing": 0.1}},
        "label_smoothing has an effect on bce",
    ),
    "ink_weight": ("ink", {}, {"loss": {"ink_weight": -1}}, "balanced, or a number above 0"),
    "keep": ("ink", {}, {"last_batch": "keep"}, "choose drop"),
    "twice": ("scroll_vae", {}, {"activation_checkpointing": True}, "BatchNorm"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_job__that_cannot_work_is_refused(name: str) -> None:
    task, data, train, text = REFUSED[name]
    with pytest.raises(ValidationError, match=text):
        job(task, data, **train)


def test_job__of_another_kind_of_data_is_refused() -> None:
    data = {"kind": "fields", "targets": ["a"], "crop": [8, 8, 8]}
    with pytest.raises(ValidationError, match="give kind: scroll"):
        Job.model_validate(
            {
                "name": "x",
                "resources": {"ranks_per_node": 1, "walltime": "00:10:00"},
                "data": data,
                "train": {"task": "ink", **PLAIN},
            }
        )
