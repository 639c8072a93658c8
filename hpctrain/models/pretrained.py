"""Weights of a backbone from a file of another training or program."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.errors import ConfigError
from hpctrain.log import logger
from hpctrain.models.vit import VisionTransformer, fitted_positions

_NESTED = ("teacher", "model", "state_dict", "module")
"""Keys below which programs keep the weights, the wanted one first."""
_PREFIXES = ("module.", "backbone.", "model.", "encoder.")
_HEADS = ("head.", "fc.", "classifier.")
_POSITIONS = "pos_embed"
_KERNEL = 4
"""Dimensions of a 2D convolution's weight."""
_SHOWN = 3


def load_pretrained(network: nn.Module, path: Path) -> None:
    """Put the weights of a file into a backbone.

    Prefixes such as `module.backbone.` and classifiers are left out. Where the first convolution
    takes another number of channels, its weights are averaged over theirs and scaled so that a
    grey picture gives the same; positions of another square grid are interpolated.

    Args:
        network: a backbone.
        path: state file of torch or safetensors.

    Raises:
        ConfigError: no such file, no weights in it, or weights of another network.
    """
    found = _cleaned(_read(path))
    wanted = network.state_dict()
    heads = [key for key in found if key.startswith(_HEADS) and key not in wanted]
    found = {key: value for key, value in found.items() if key not in heads}
    for key in found.keys() & wanted.keys():
        found[key] = _fitted(network, key, found[key], wanted[key])
    # counts of batches are kept by newer versions of torch alone
    counts = {k: v for k, v in wanted.items() if k.endswith("num_batches_tracked")}
    found = {**counts, **found}
    _check(found, wanted, path)
    network.load_state_dict(found)
    logger.info("the backbone begins with %s", path)


def _read(path: Path) -> Mapping[str, Any]:
    where = f"backbone.weights: {path}"
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as e:
        raise ConfigError(f"{where}: {e.strerror or e}; give its place") from e
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as e:
        first = (str(e).splitlines() or ["torn"])[0]
        raise ConfigError(f"{where}: cannot be read: {first}; give a file of weights alone") from e
    if not isinstance(state, Mapping):
        raise ConfigError(f"{where}: holds no weights by name; give a state_dict")
    return state


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as e:
        raise ConfigError(
            f"backbone.weights: {path}: needs the package safetensors; install it with: "
            "pip install safetensors"
        ) from e
    try:
        return load_file(path)
    except SafetensorError as e:
        raise ValueError(str(e)) from e


def _cleaned(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights by their bare names."""
    for key in _NESTED:
        inner = state.get(key)
        if isinstance(inner, Mapping):
            return _cleaned(inner)
    found = {}
    for name, value in state.items():
        if not isinstance(value, Tensor):
            continue
        bare = name
        while bare.startswith(_PREFIXES):
            bare = bare.split(".", 1)[1]
        found[bare] = value
    return found


def _fitted(network: nn.Module, key: str, value: Tensor, wanted: Tensor) -> Tensor:
    if value.shape == wanted.shape:
        return value
    is_kernel = value.ndim == wanted.ndim == _KERNEL
    if is_kernel and value.shape[0] == wanted.shape[0] and value.shape[2:] == wanted.shape[2:]:
        grey = value.sum(1, keepdim=True) / wanted.shape[1]
        return grey.expand(wanted.shape).contiguous()
    if isinstance(network, VisionTransformer) and key == _POSITIONS:
        side = round((value.shape[1] - 1) ** 0.5)
        if side**2 == value.shape[1] - 1 and value.shape[2] == wanted.shape[2]:
            return fitted_positions(value, (side, side), network.train_grid)
    return value


def _check(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    for what, keys in (
        ("lacks", sorted(wanted.keys() - found.keys())),
        ("has besides", sorted(found.keys() - wanted.keys())),
    ):
        if keys:
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            raise ConfigError(
                f"backbone.weights: {path}: {what} {', '.join(keys[:_SHOWN])}{more}; give weights "
                "of the network that the block describes, or change the block"
            )
    for key, value in found.items():
        if value.shape != wanted[key].shape:
            raise ConfigError(
                f"backbone.weights: {path}: {key} is {list(value.shape)} there and "
                f"{list(wanted[key].shape)} in the job's network; give weights of that network"
            )
