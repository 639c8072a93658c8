"""A run on pairs with checkpoints of networks that nobody trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from hpctrain.config.backbone import VitBackbone
from hpctrain.index.store import save_index
from hpctrain.models.backbones import make_backbone
from hpctrain.models.heads import Expander
from hpctrain.provenance import Stamp
from hpctrain.train.checkpoint import CheckpointFolder
from tests.unit.data.pairs.builders import camera_pair, pairs, write

CROPS = {"rgb": (48, 48), "ir": (24, 24)}
BACKBONE = {"kind": "vit", "size": "tiny", "depth": 1, "patch_size": 12}
JOB: dict[str, Any] = {
    "version": 1,
    "name": "sky",
    "site": "local",
    "resources": {"nodes": 1, "ranks_per_node": 1, "walltime": "00:10:00"},
    "train": {
        "task": "vicreg",
        "global_batch_size": 4,
        "epochs": 1,
        "backbone": BACKBONE,
        "expander": [16, 16],
    },
}


def make_run(folder: Path, count: int = 11, epochs: tuple[int, ...] = (1,)) -> Path:
    run = folder / "run"
    run.mkdir(parents=True)
    splits = ["validation" if i % 3 == 0 else "train" for i in range(count)]
    index = write(folder / "data", [camera_pair(i) for i in range(count)], splits)
    save_index(index, run / "index.csv")
    data = pairs().model_dump(mode="json", exclude_defaults=True) | {"kind": "pairs"}
    (run / "config.yaml").write_text(yaml.safe_dump({**JOB, "data": data}))
    (run / "manifest.json").write_text("{}")
    for epoch in epochs:
        save_checkpoint(run, epoch)
    return run


def networks(seed: int) -> Mapping[str, torch.nn.Module]:
    torch.manual_seed(seed)
    block = VitBackbone.model_validate(BACKBONE)
    made = {f"backbone_{m}": make_backbone(block, c, CROPS[m]) for m, c in (("rgb", 3), ("ir", 1))}
    return {name: network.eval() for name, network in made.items()}


def expanders(seed: int) -> Mapping[str, torch.nn.Module]:
    torch.manual_seed(seed)
    made = {f"expander_{m}": Expander(192, (16, 8)) for m in CROPS}
    for network in made.values():
        network[1].running_mean.uniform_()
    return {name: network.eval() for name, network in made.items()}


def save_checkpoint(run: Path, epoch: int, **more: Any) -> None:
    own = {**networks(epoch), **expanders(epoch)}
    state = {
        "models": {name: network.state_dict() for name, network in own.items()},
        "task": {"scales": {"edges": None}},
        "position": {"epoch": epoch, "step": 0, "global_step": 10 * epoch},
        "ema": None,
        "precision": {"name": "float32", "reason": "", "memory_format": "contiguous"},
        **more,
    }
    CheckpointFolder(run / "checkpoints", keep_last=9).save(
        state, epoch, 0, Stamp("checkpoint", epoch=epoch, global_step=10 * epoch)
    )
