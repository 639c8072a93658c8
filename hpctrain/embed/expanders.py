"""Expanders of VICReg with a network of each modality: only behind them pairs are alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from hpctrain.errors import CheckpointError
from hpctrain.models.heads import Expander
from hpctrain.train.ema import averages_of, put_averages

_BACKBONE, _EXPANDER = "backbone_", "expander_"


def load_expanders(
    names: Mapping[str, str], state: Mapping[str, Any], weights: str, path: Path
) -> dict[str, nn.Module]:
    """Make the expander of each modality; none where both have one network, or there is none.

    Args:
        names: of the backbones in the checkpoint, by modality.
        state: what is in it.
        weights: last or ema.
        path: the checkpoint.

    Raises:
        CheckpointError: it holds other networks.
    """
    models = state["models"]
    found = {m: n.replace(_BACKBONE, _EXPANDER) for m, n in names.items()}
    if not all(n.startswith(_BACKBONE) and found[m] in models for m, n in names.items()):
        return {}
    made: dict[str, nn.Module] = {}
    for modality, name in found.items():
        layers = [own for own in models[name].values() if own.ndim == 2]
        try:
            network = Expander(layers[0].shape[1], [own.shape[0] for own in layers])
            network.load_state_dict(models[name])
        except (RuntimeError, IndexError) as e:
            raise CheckpointError(
                f"{path}: {name} is no expander ({str(e).splitlines()[0]}); give a checkpoint of "
                "task vicreg"
            ) from e
        averages = averages_of(state, name) if weights == "ema" else None
        if averages is not None:
            put_averages(network, averages)
        made[modality] = network.eval()
    return made
