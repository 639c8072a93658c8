"""Networks of a job's `vicreg` block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn

from hpctrain.config.vicreg import Vicreg
from hpctrain.models.heads import Expander
from hpctrain.tasks.pairs.networks import Size, make_backbones


def make_networks(
    settings: Vicreg,
    channels: Mapping[str, int],
    sizes: Mapping[str, Size],
    find: Callable[[str], Path] | None = None,
) -> dict[str, nn.Module]:
    """Backbones and expanders by name; for the arguments see `make_backbones`."""
    backbones = make_backbones(settings, channels, sizes, find)
    made: dict[str, nn.Module] = {f"backbone{end}": net for end, net in backbones.items()}
    for end, net in backbones.items():
        made[f"expander{end}"] = Expander(int(net.dim), settings.expander)  # type: ignore[arg-type]
    return made
