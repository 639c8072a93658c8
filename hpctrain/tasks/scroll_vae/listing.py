"""What `hpctrain models` shows of networks for scrolls: sizes and cost."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.config.ink import Ink, InkEncoderDecoder, InkUNet
from hpctrain.config.scroll_vae import ScrollVae, VaeNetwork
from hpctrain.models.cost import cost
from hpctrain.tasks.ink.networks import make_ink
from hpctrain.tasks.scroll_vae.bound import make_vae

Triple = tuple[int, int, int]
Row = dict[str, Any]
_PLAIN: dict[str, Any] = {"epochs": 1, "global_batch_size": 2}


def scroll_rows(settings: ScrollVae | Ink, window: Triple) -> list[Row]:
    """The row of a job's network, with the keys of the other tasks' rows.

    Args:
        settings: the `train:` block.
        window: voxels of a sample along z, y, x.

    Raises:
        ConfigError: a window that the layers cannot halve so often.
    """
    block = settings.network
    with torch.device("meta"):
        # in evaluation, where BatchNorm takes a single sample
        if isinstance(settings, ScrollVae):
            network: nn.Module = make_vae(settings, window).eval()
        else:
            network = make_ink(settings, window).eval()
    if isinstance(block, VaeNetwork):
        role, kind = "vae", f"{block.block}, {block.layers} layers, latent {block.latent_dim}"
        return [_row(role, kind, network, window, f"n = {2**block.layers}k, as made", _coded)]
    if isinstance(block, InkEncoderDecoder):
        kind, rule = f"{block.kind}, {block.block}", f"n = {2**block.layers}k"
    else:
        kind, rule = f"{block.kind}, 2.5D", f"y, x = {2**block.levels}k"
    return [_row("ink", kind, network, window, rule, _marked)]


def known_scroll_rows(window: Triple) -> list[Row]:
    """Rows of all that can be chosen, with their defaults, on a window that fits them."""
    rows: list[Row] = []
    kinds: tuple[Any, ...] = ("plain", "batch_norm", "residual")
    if all(n % 8 == 0 for n in window):
        for kind in kinds:
            network = VaeNetwork(block=kind)
            rows += scroll_rows(ScrollVae(task="scroll_vae", network=network, **_PLAIN), window)
        deep = InkEncoderDecoder(kind="encoder_decoder")
        rows += scroll_rows(Ink(task="ink", network=deep, **_PLAIN), window)
    if all(n % 8 == 0 for n in window[1:]):
        rows += scroll_rows(Ink(task="ink", network=InkUNet(), **_PLAIN), window)
    return rows


def _row(role: str, kind: str, network: nn.Module, window: Triple, rule: str, call: Any) -> Row:
    shape = (1, *window)
    found = cost(network, shape, call)
    return {
        "role": role,
        "kind": kind,
        "parameters": found.parameters,
        "size_rule": rule,
        "receptive_field": "all" if role == "vae" else None,
        "padded_edge": None,
        "input": list(shape),
        "output": list(found.output),
        "forward_gflop": found.forward_flop / 1e9,
        "training_gflop": found.training_flop / 1e9,
        "state_mb": found.state_bytes / 1e6,
        "activations_mb": found.kept_bytes / 1e6,
        "crop": list(window),
        "halo": [0, 0, 0],
        "channels_assumed": False,
    }


def _coded(network: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = network(x).output
    return y


def _marked(network: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = network(x).unsqueeze(1).unsqueeze(2)
    return y
