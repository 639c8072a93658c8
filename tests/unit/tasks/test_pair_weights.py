"""Backbones with weights of transformers: begun, resumed, embedded and listed."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from hpctrain.config.backbone import TransformersBackbone
from hpctrain.config.job import Job
from hpctrain.config.load import read_resolved
from hpctrain.embed.encoders import load_encoders
from hpctrain.errors import ConfigError
from hpctrain.models.backbones import make_backbone
from hpctrain.tasks.dino.task import DinoTask
from hpctrain.tasks.pairs.listing import pair_rows
from hpctrain.tasks.vicreg.task import VicregTask
from hpctrain.train.task import Place
from tests.unit.embed.run import CROPS, make_run

OPTIONS = {
    "hidden_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "patch_size": 12,
}
TASKS = {
    "vicreg": (VicregTask, "backbone", {"expander": [8, 8]}),
    "dino": (
        DinoTask,
        "teacher",
        {
            "share_backbone": False,
            "strategy": "joint",
            "head": {"prototypes": 12, "hidden": 8, "bottleneck": 4},
        },
    ),
}


def saved_vit(folder: Path) -> Path:
    """A network that nobody trained, in a folder of save_pretrained."""
    block = TransformersBackbone(kind="transformers", model="ViTModel", options=OPTIONS)
    torch.manual_seed(5)
    make_backbone(block, 3, (48, 48)).model.save_pretrained(folder)  # type: ignore[union-attr, operator]
    return folder


def job_of(run: Path, task: str, weights: Path) -> Job:
    """The run's job with a backbone of saved weights for the optical pictures."""
    page = yaml.safe_load((run / "config.yaml").read_text())
    plain = page["train"].pop("backbone")
    page["train"].pop("expander")
    page["train"] |= TASKS[task][2] | {
        "task": task,
        "backbone": {"kind": "transformers", "model": "ViTModel", "weights": str(weights)},
        "ir_backbone": plain,
    }
    (run / "config.yaml").write_text(yaml.safe_dump(page))
    return read_resolved(run / "config.yaml")


def started(kind: Any, job: Job, run: Path, saved: Any = None) -> Any:
    task = kind(job, Place(run, 0, torch.device("cpu")))
    task.build_data(saved, lambda value: value)
    task.models = task.build_models()
    return task


@pytest.mark.parametrize("name", ["vicreg", "dino"])
def test_run__goes_on_and_is_embedded_without_the_folder(tmp_path: Path, name: str) -> None:
    pytest.importorskip("transformers")
    run, weights = make_run(tmp_path, epochs=()), saved_vit(tmp_path / "weights")
    kind, body, _ = TASKS[name]
    job = job_of(run, name, weights)
    task = started(kind, job, run)
    (_, listed), *_ = [(r["role"], r["parameters"]) for r in pair_rows(job.train, job.pairs, run)]  # type: ignore[arg-type]
    encoder = task.encoders()["rgb"].eval()
    assert listed == sum(p.numel() for p in encoder.parameters())
    models = {n: net.state_dict() for n, net in task.models.items()}
    file = io.BytesIO()
    torch.save({"models": models, "task": task.state(), "ema": None}, file)
    shutil.rmtree(weights)

    file.seek(0)
    state = torch.load(file, weights_only=True)
    again = started(kind, job, run, state["task"])
    for n, net in again.models.items():
        net.load_state_dict(state["models"][n])
    assert again.state() == task.state()
    found = load_encoders(job.train, {"rgb": 3, "ir": 1}, CROPS, Path("state.pt"), state)  # type: ignore[arg-type]
    assert found.names["rgb"] == f"{body}_rgb"
    x = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        for own in (again.encoders()["rgb"].eval(), found.networks["rgb"]):
            torch.testing.assert_close(own(x), encoder(x), rtol=0, atol=0)
    with pytest.raises(ConfigError, match=r"weights: ViTModel of transformers refuses its config"):
        pair_rows(job.train, job.pairs, run)  # type: ignore[arg-type]
