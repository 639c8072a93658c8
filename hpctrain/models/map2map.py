"""Weights of map2map's networks under the names that they have here.

The names are those of its state files: srsgan.G and srsgan.D, UNet and VNet (commit 4ebc835f), and
SRS-map2map (77e6857), which has the names of srsgan. Nothing is dropped in silence: a weight that
has no place, or a place without a weight, is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor, nn

from hpctrain.errors import ConfigError
from hpctrain.models.srsgan import SrDiscriminator, SrGenerator
from hpctrain.models.unet import UNet

Layout = Literal["map2map", "srs_map2map"]
_Rules = Sequence[tuple[str, str]]

_GENERATOR: _Rules = (
    (r"block0\.0\.(\w+)", r"head.0.\1"),
    (r"blocks\.(\d+)\.conv\.0\.std", r"blocks.\1.noise1.std"),
    (r"blocks\.(\d+)\.conv\.2\.(\w+)", r"blocks.\1.conv1.\2"),
    (r"blocks\.(\d+)\.conv\.4\.std", r"blocks.\1.noise2.std"),
    (r"blocks\.(\d+)\.conv\.5\.(\w+)", r"blocks.\1.conv2.\2"),
    (r"blocks\.(\d+)\.proj\.0\.(\w+)", r"blocks.\1.project.\2"),
)
_DISCRIMINATOR: _Rules = (
    (r"block0\.0\.(\w+)", r"head.0.\1"),
    (r"blocks\.(\d+)\.conv\.0\.(\w+)", r"blocks.\1.conv1.\2"),
    (r"blocks\.(\d+)\.conv\.2\.(\w+)", r"blocks.\1.conv2.\2"),
    (r"blocks\.(\d+)\.skip\.(\w+)", r"blocks.\1.skip.\2"),
    (r"block9\.([02])\.(\w+)", r"score.\1.\2"),
)
_UNET: _Rules = (
    (r"conv_l(\d+)\.(.+)", r"encoder.\1.\2"),
    (r"down_l(\d+)\.convs\.(.+)", r"down.\1.\2"),
    (r"conv_c\.(.+)", r"centre.\1"),
    (r"up_r(\d+)\.convs\.(.+)", r"up.\1.\2"),
    (r"conv_r(\d+)\.(.+)", r"decoder.\1.\2"),
)


def load_map2map(
    network: nn.Module, state: Mapping[str, Tensor], layout: Layout = "map2map"
) -> None:
    """Put the weights of a state file into a network.

    Args:
        network: SrGenerator with a leaky projection, SrDiscriminator, UNet or VNet.
        state: the file's `model` or `adv_model`.
        layout: where the file is from. SRS-map2map adds each layer's noise twice, so that its
            strengths count double.

    Raises:
        ConfigError: another network, or weights of other names or shapes.
    """
    kind, rules = _rules(network)
    if isinstance(network, SrGenerator) and network.projection != "leaky":
        raise ConfigError(
            "generator.projection: map2map's networks end their projections with a LeakyReLU; set "
            "projection: leaky to begin with their weights"
        )
    found = {_renamed(key.removeprefix("module."), rules, kind): v for key, v in state.items()}
    if layout == "srs_map2map":
        found = {k: 2 * v if k.endswith(".std") else v for k, v in found.items()}
    own = network.state_dict()
    for what, keys in (("lacks", own.keys() - found), ("has too many:", found.keys() - own)):
        if keys:
            shown = ", ".join(sorted(keys)[:3])
            raise ConfigError(
                f"initial_weights: the file {what} {shown}{' ...' if len(keys) > 3 else ''} for "
                f"this {kind}; make levels, channels and upscale_factor those of its training"
            )
    for key, value in found.items():
        if own[key].shape != value.shape:
            raise ConfigError(
                f"initial_weights: {key} has shape {list(value.shape)} in the file and "
                f"{list(own[key].shape)} here; make channels and variables those of its training"
            )
    network.load_state_dict(found)


def _rules(network: nn.Module) -> tuple[str, _Rules]:
    if isinstance(network, SrGenerator):
        return "srsgan generator", _GENERATOR
    if isinstance(network, SrDiscriminator):
        return "srsgan discriminator", _DISCRIMINATOR
    if isinstance(network, UNet):
        return type(network).__name__, _UNET
    raise ConfigError(
        f"initial_weights: map2map has no {type(network).__name__}; allowed: srsgan, unet, vnet"
    )


def _renamed(key: str, rules: _Rules, kind: str) -> str:
    for pattern, name in rules:
        if re.fullmatch(pattern, key):
            return re.sub(pattern, name, key)
    raise ConfigError(
        f"initial_weights: {key!r} is no weight of map2map's {kind}; give the state file of such a "
        "network"
    )
