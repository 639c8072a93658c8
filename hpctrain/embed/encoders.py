"""The encoders of a checkpoint: what turns pictures of each modality into vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from hpctrain.config.backbone import Backbone
from hpctrain.embed.expanders import load_expanders
from hpctrain.embed.store import EXPANDED
from hpctrain.errors import CheckpointError
from hpctrain.models.backbones import make_backbone
from hpctrain.train.ema import averages_of, put_averages

_NAMES = ("teacher", "backbone", "student")
"""Of networks in a checkpoint: a teacher goes before its student."""
Size = tuple[int, int]


class PairSettings(Protocol):
    """What a `train:` block of a task on pairs has."""

    @property
    def modality_backbones(self) -> Mapping[str, Backbone]:
        """The block of each modality's network."""


@dataclass(frozen=True)
class Encoders:
    """Networks by modality, evaluating, in float32 on the CPU; a shared one is there twice."""

    networks: Mapping[str, nn.Module]
    names: Mapping[str, str]
    """What each is called in the checkpoint."""
    weights: str
    """`last`, or `ema`."""
    expanders: Mapping[str, nn.Module] = field(default_factory=dict)
    """Behind the networks, where only what comes out of these is alike in both modalities."""

    @property
    def dims(self) -> dict[str, int]:
        """Numbers of a vector of each modality, and of those behind its expander."""
        behind = {f"{name}{EXPANDED}": net for name, net in self.expanders.items()}
        both = {**self.networks, **behind}
        return {name: int(net.dim) for name, net in both.items()}  # type: ignore[arg-type]


def load_encoders(
    settings: PairSettings,
    channels: Mapping[str, int],
    sizes: Mapping[str, Size],
    path: Path,
    state: Mapping[str, Any],
    weights: str = "last",
) -> Encoders:
    """Make the encoders of a checkpoint.

    Args:
        settings: the run's `train:` block.
        channels: of each modality's pictures.
        sizes: (H, W) of each modality's crops in training, which positions belong to.
        path: the checkpoint.
        state: what is in it.
        weights: last or ema.

    Raises:
        CheckpointError: it holds other networks.
    """
    models = state.get("models") or {}
    pages = (state.get("task") or {}).get("backbones", {})
    names = {modality: _name_of(modality, models, path) for modality in channels}
    made: dict[str, nn.Module] = {}
    for modality, name in names.items():
        if name in made:
            continue
        block = settings.modality_backbones[modality]
        page = pages.get(modality)
        network = make_backbone(block, channels[modality], sizes[modality], configuration=page)
        try:
            network.load_state_dict(models[name])
            averages = averages_of(state, name) if weights == "ema" else None
            if averages is not None:
                put_averages(network, averages)
        except (RuntimeError, KeyError) as e:
            raise CheckpointError(
                f"{path}: {name} is another network than config.yaml asks for "
                f"({str(e).splitlines()[0]}); put the run's train block back"
            ) from e
        made[name] = network.eval()
    expanders = load_expanders(names, state, weights, path)
    return Encoders({m: made[name] for m, name in names.items()}, names, weights, expanders)


def has_averages(state: Mapping[str, Any], modalities: Sequence[str], path: Path) -> bool:
    """Whether there are averages of all encoders' weights."""
    models = state.get("models") or {}
    return all(averages_of(state, _name_of(m, models, path)) is not None for m in modalities)


def _name_of(modality: str, models: Mapping[str, Any], path: Path) -> str:
    for name in _NAMES:
        for full in (f"{name}_{modality}", name):
            if full in models:
                return full
    raise CheckpointError(
        f"{path}: has no encoder of {modality}; it holds {', '.join(sorted(models)) or 'nothing'}; "
        "give a checkpoint of task vicreg or dino"
    )
