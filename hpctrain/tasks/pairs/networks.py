"""Backbones of both modalities, and the draws of branches that are left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.config.backbone import Backbone
from hpctrain.config.pair_training import PairTraining
from hpctrain.models.backbones import TransformersNetwork, configuration_of, make_backbone
from hpctrain.models.vit import VisionTransformer
from hpctrain.train.draws import sample_seeds

MODALITIES = ("rgb", "ir")
DROP_STREAM = 4
"""First of the streams of left-out branches; each forward pass of a step has one of its own."""
Size = tuple[int, int]


@dataclass(frozen=True)
class Origin:
    """What backbones with `weights` are made from."""

    find: Callable[[str], Path]
    """Where a file of weights is."""
    is_loaded: bool
    """They begin with these weights; else they are only made as large."""
    kept: Mapping[str, Any] = field(default_factory=dict)
    """Their `configurations` at the start of the run."""


def ends_of(settings: PairTraining) -> dict[str, str]:
    """What the names of a modality's networks end in; one name for both, where they are shared."""
    return {m: "" if settings.share_backbone else f"_{m}" for m in MODALITIES}


def make_backbones(
    settings: PairTraining,
    channels: Mapping[str, int],
    sizes: Mapping[str, Size],
    origin: Origin | None = None,
) -> dict[str, nn.Module]:
    """Networks by the ends of their names.

    Args:
        settings: the `train:` block.
        channels: of each modality.
        sizes: (H, W) of each modality's crops in training.
        origin: of those with weights; None: all begin with random ones.

    Raises:
        ConfigError: see `make_backbone`.
    """
    made: dict[str, nn.Module] = {}
    for modality, end in ends_of(settings).items():
        if end not in made:
            block: Backbone = settings.modality_backbones[modality]
            path, page = _beginning(block, modality, origin)
            made[end] = make_backbone(block, channels[modality], sizes[modality], path, page)
    return made


def _beginning(
    block: Backbone, modality: str, origin: Origin | None
) -> tuple[Path | None, Mapping[str, Any] | None]:
    """Weights to begin with, and the configuration of a network without them."""
    if origin is None or block.weights is None:
        return None, None
    if origin.is_loaded:
        return origin.find(block.weights), None
    kept = origin.kept.get(modality)
    return None, kept or configuration_of(block, origin.find(block.weights))


def configurations(
    settings: PairTraining, networks: Mapping[str, nn.Module]
) -> dict[str, dict[str, Any]]:
    """What a checkpoint must remember of backbones whose weights said how large they are.

    Args:
        settings: the `train:` block.
        networks: of each modality.
    """
    blocks = settings.modality_backbones
    return {
        m: net.configuration
        for m, net in networks.items()
        if isinstance(net, TransformersNetwork) and blocks[m].weights is not None
    }


def embed(
    backbone: nn.Module,
    crops: Tensor,
    seed: int,
    epoch: int,
    ids: Sequence[int],
    number: int,
) -> Tensor:
    """Vectors of crops, in training with branches left out where the network is so made.

    Args:
        backbone: of their modality.
        crops: (V * B, C, H, W), V crops of B samples, crop by crop.
        seed: the run's seed.
        epoch: in which the samples are seen.
        ids: of the samples.
        number: of this forward pass within a step.
    """
    kept = left_out(backbone, seed, epoch, ids, number, len(crops), crops.device)
    found: Tensor = backbone(crops) if kept is None else backbone(crops, kept)
    return found


def left_out(
    backbone: nn.Module,
    seed: int,
    epoch: int,
    ids: Sequence[int],
    number: int,
    count: int,
    device: torch.device,
) -> Tensor | None:
    """(depth, 2, count) factors of the branches; None where all stay. See `embed`."""
    if not (isinstance(backbone, VisionTransformer) and backbone.drop_path and backbone.training):
        return None
    depth, crops = len(backbone.blocks), count // len(ids)
    rows = torch.empty(len(ids), crops, depth, 2)
    for own, row in zip(sample_seeds(seed, epoch, ids, DROP_STREAM + number), rows, strict=True):
        row.uniform_(generator=torch.Generator().manual_seed(own))
    uniform = rows.permute(2, 3, 1, 0).reshape(depth, 2, count)
    return backbone.drop_factors(uniform.to(device))
