"""Networks of a job's `vicreg` block."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hpctrain.config.vicreg import Vicreg
from hpctrain.models.heads import Expander
from hpctrain.tasks.pairs.networks import Origin, Size, make_backbones


def make_networks(
    settings: Vicreg,
    channels: Mapping[str, int],
    sizes: Mapping[str, Size],
    origin: Origin | None = None,
) -> dict[str, nn.Module]:
    """Backbones and expanders by name; for the arguments see `make_backbones`."""
    backbones = make_backbones(settings, channels, sizes, origin)
    made: dict[str, nn.Module] = {f"backbone{end}": net for end, net in backbones.items()}
    for end, net in backbones.items():
        made[f"expander{end}"] = Expander(int(net.dim), settings.expander)  # type: ignore[arg-type]
    return made


@torch.no_grad()
def expand(expander: nn.Module, rows: Tensor) -> Tensor:
    """Rows behind an expander as in training: its BatchNorm takes the mean of these rows.

    Running means lag behind by some dozen steps, which one sees in a young training's loss.

    Args:
        expander: an `Expander`.
        rows: (M, D) on the CPU.

    Returns:
        (M, D') in float64 on the CPU.
    """
    first = next(expander.parameters())
    x = rows.to(first.device, first.dtype)
    for layer in expander.children():
        if isinstance(layer, _BatchNorm):
            x = F.batch_norm(x, None, None, layer.weight, layer.bias, training=True, eps=layer.eps)
        else:
            x = layer(x)
    return x.double().cpu()
