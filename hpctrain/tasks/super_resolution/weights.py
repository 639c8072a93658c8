"""Weights that a run begins with, from a state file of another program."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hpctrain.config.task import InitialWeights
from hpctrain.errors import ConfigError
from hpctrain.index.beside import place_of
from hpctrain.log import logger
from hpctrain.models.map2map import load_map2map


def begin_with(
    weights: InitialWeights, root: Path, generator: nn.Module, critic: nn.Module | None
) -> None:
    """Load map2map's weights into the networks.

    Args:
        weights: where they are.
        root: folder that a relative path starts from.
        generator: gets the file's `model`.
        critic: gets its `adv_model`, where the file has one.

    Raises:
        ConfigError: no such file, no state of map2map, or weights of another network.
    """
    path = place_of(weights.path, root)
    state = _read(path)
    load_map2map(generator, state["model"], weights.layout)
    if critic is not None and "adv_model" in state:
        load_map2map(critic, state["adv_model"], weights.layout)
    which = "generator and critic" if critic is not None and "adv_model" in state else "generator"
    logger.info("%s begin with %s, epoch %s", which, path, state.get("epoch", "unknown"))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as e:
        raise ConfigError(f"train.initial_weights: {path}: {e.strerror}; give its place") from e
    except (pickle.UnpicklingError, RuntimeError, EOFError) as e:
        first = (str(e).splitlines() or ["torn"])[0]
        raise ConfigError(f"train.initial_weights: {path}: cannot be read: {first}") from e
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise ConfigError(
            f"train.initial_weights: {path}: has no 'model'; allowed: a state_*.pt of map2map"
        )
    return state
