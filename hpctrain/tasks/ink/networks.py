"""Networks of a job's `ink` block, and weights from a VAE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from hpctrain.config.ink import Ink, VaeWeights
from hpctrain.errors import ConfigError
from hpctrain.log import logger
from hpctrain.models.ink import InkEncoderDecoder, InkUNet
from hpctrain.train.checkpoint import load

Triple = tuple[int, int, int]
_VAE, _PREFIX = "vae", "encoder."


def make_ink(settings: Ink, window: Triple) -> nn.Module:
    """The network of a `train:` block, in float32 on torch's current device.

    Raises:
        ConfigError: a window that does not fit.
    """
    options: dict[str, Any] = settings.network.model_dump(exclude={"kind"})
    if settings.network.kind == "unet":
        return InkUNet(window, **options)
    return InkEncoderDecoder(window, **options)


def begin_with_vae(weights: VaeWeights, path: Path, network: nn.Module) -> None:
    """Put a VAE's encoder into a network; where the run kept averages of weights, these.

    Args:
        weights: the job's block.
        path: of the checkpoint.
        network: an encoder-decoder.

    Raises:
        ConfigError: no checkpoint of a VAE, or one of another encoder.
        CheckpointError: the file is missing or torn.
    """
    assert isinstance(network, InkEncoderDecoder)
    state = load(path)
    where = f"train.initial_weights: {path}"
    own = state["models"].get(_VAE)
    if own is None:
        raise ConfigError(
            f"{where}: holds {', '.join(state['models'])}, and no vae; give a checkpoint of a run "
            "with task: scroll_vae"
        )
    averages = ((state.get("ema") or {}).get("models") or {}).get(_VAE)
    found = {k.removeprefix(_PREFIX): v for k, v in own.items() if k.startswith(_PREFIX)}
    if averages is not None:
        found |= {k: averages[_PREFIX + k] for k in found if _PREFIX + k in averages}
    shapes = {k: tuple(v.shape) for k, v in found.items()}
    wanted = {k: tuple(v.shape) for k, v in network.encoder.state_dict().items()}
    if shapes != wanted:
        other = sorted(k for k in shapes.keys() | wanted.keys() if shapes.get(k) != wanted.get(k))
        raise ConfigError(
            f"{where}: {other[0]} is {shapes.get(other[0], 'missing')} there and "
            f"{wanted.get(other[0], 'missing')} in train.network; give block, channels and layers "
            "as the VAE has them"
        )
    network.encoder.load_state_dict(found)
    logger.info(
        "the encoder begins with %s, epoch %s%s",
        path,
        state["position"]["epoch"],
        ", averaged" if averages is not None else "",
    )


def freeze(network: nn.Module) -> None:
    """Keep the encoder as it is: no gradients, and BatchNorm by its running means."""
    assert isinstance(network, InkEncoderDecoder)
    network.encoder.requires_grad_(False).eval()
