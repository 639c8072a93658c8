"""What `hpctrain models` shows of a DCGAN: sizes and cost of its two networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.config.field_gan import FieldGan
from hpctrain.models.cost import cost
from hpctrain.tasks.field_gan.networks import make_critic, make_generator

Triple = tuple[int, int, int]


def gan_rows(
    settings: FieldGan, crop: Triple, channels: int, *, is_assumed: bool = False
) -> list[dict[str, Any]]:
    """A row for each network, with the keys of the other tasks' rows.

    Args:
        settings: the `train:` block.
        crop: cells of a made field.
        channels: of a made field.
        is_assumed: whether `channels` is a guess.

    Raises:
        ConfigError: a crop that the layers cannot halve so often.
    """
    seen = channels * (1 + len(settings.rescaled_by))
    noise_size, a, b, c = settings.generator.noise_size, *crop
    with torch.device("meta"):
        # in evaluation, where BatchNorm takes a single sample
        generator = make_generator(settings, channels, crop).eval()
        critic = make_critic(settings, seen, crop).eval()
    dims = "2D" if a == 1 else "3D"
    layers = len(settings.generator.channels), len(settings.adversary.discriminator.channels)
    found: list[tuple[str, nn.Module, tuple[int, ...], str, Callable[..., Tensor]]] = [
        ("generator", generator, (noise_size, 1, 1, 1), f"n = {2 ** layers[0]}k", _from_noise),
        ("discriminator", critic, (seen, a, b, c), f"n = {2 ** layers[1]}k, to 1", _judged),
    ]
    return [
        {
            "role": role,
            "kind": f"dcgan, {dims}",
            **_costs(network, shape, call),
            "size_rule": rule,
            "receptive_field": "all",
            "padded_edge": None,
            "crop": list(crop),
            "halo": [0, 0, 0],
            "channels_assumed": is_assumed,
        }
        for role, network, shape, rule, call in found
    ]


def _costs(network: nn.Module, shape: tuple[int, ...], call: Callable[..., Tensor]) -> Any:
    found = cost(network, shape, call)
    output = (*found.output, 1, 1, 1)[:4]
    return {
        "parameters": found.parameters,
        "input": list(shape),
        "output": list(output),
        "forward_gflop": found.forward_flop / 1e9,
        "training_gflop": found.training_flop / 1e9,
        "state_mb": found.state_bytes / 1e6,
        "activations_mb": found.kept_bytes / 1e6,
    }


def _from_noise(network: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = network(x.flatten(1))
    return y


def _judged(network: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = network(x)
    return y
