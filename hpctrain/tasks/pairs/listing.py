"""What `hpctrain models` shows of networks for pairs of pictures: sizes and cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.config.backbone import Backbone
from hpctrain.config.dino import Dino
from hpctrain.config.pair_data import NUM_CHANNELS, Pairs
from hpctrain.config.vicreg import Vicreg
from hpctrain.index.beside import place_of
from hpctrain.index.fields.build import root_of
from hpctrain.models.cost import cost
from hpctrain.tasks.dino.networks import make_networks as make_dino
from hpctrain.tasks.pairs.networks import Origin, ends_of
from hpctrain.tasks.vicreg.networks import make_networks as make_vicreg

Row = dict[str, Any]


def pair_rows(settings: Vicreg | Dino, data: Pairs, cwd: Path) -> list[Row]:
    """One row a network that learns, with the keys of the other tasks' rows.

    Args:
        settings: the `train:` block.
        data: what is read, for channels and crops.
        cwd: folder that relative paths start from.

    Raises:
        ConfigError: a network that cannot be made.
    """
    modalities = dict(data.modalities.items())
    channels = {name: NUM_CHANNELS[m.channels] for name, m in modalities.items()}
    sizes = {name: m.crop for name, m in modalities.items()}
    is_vicreg = isinstance(settings, Vicreg)
    origin = Origin(lambda path: place_of(path, root_of(data, cwd)), is_loaded=False)
    with torch.device("meta"):
        made = (
            make_vicreg(settings, channels, sizes, origin)
            if isinstance(settings, Vicreg)
            else make_dino(settings, channels, sizes, origin)
        )
    body, head = ("backbone", "expander") if is_vicreg else ("student", "student_head")
    rows, seen = [], set[str]()
    for modality, end in ends_of(settings).items():
        if end in seen:
            continue
        seen.add(end)
        network = made[f"{body}{end}"]
        shape = channels[modality], *sizes[modality]
        block = settings.modality_backbones[modality]
        rows.append(_row(f"{body}{end}", _name(block), network, shape, _vector))
        own = made[f"{head}{end}"].eval()  # BatchNorm takes a single sample
        width = int(network.dim)  # type: ignore[arg-type]
        rows.append(_row(f"{head}{end}", "dense", own, (width, 1, 1), _behind))
    return rows


def _row(role: str, kind: str, network: nn.Module, shape: tuple[int, int, int], call: Any) -> Row:
    found = cost(network, shape, call)
    return {
        "role": role,
        "kind": kind,
        "parameters": found.parameters,
        "size_rule": "any",
        "receptive_field": "all",
        "padded_edge": None,
        "input": list(shape),
        "output": list(found.output),
        "forward_gflop": found.forward_flop / 1e9,
        "training_gflop": found.training_flop / 1e9,
        "state_mb": found.state_bytes / 1e6,
        "activations_mb": found.kept_bytes / 1e6,
        "crop": list(shape[1:]),
        "halo": [0, 0],
        "channels_assumed": False,
    }


def _name(block: Backbone) -> str:
    if block.kind == "vit":
        return f"vit {block.size}/{block.patch_size}, {block.depth} blocks"
    if block.kind == "resnet":
        return f"resnet {block.depth}"
    return f"{block.kind} {block.model}"


def _vector(network: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = network(x)[..., None, None]
    return y


def _behind(network: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = network(x.flatten(1))[..., None, None]
    return y
