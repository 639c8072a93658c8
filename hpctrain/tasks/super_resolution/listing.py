"""What `hpctrain models` shows: networks of a job, or all that can be chosen, and their cost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.config.data import Fields
from hpctrain.config.dino import Dino
from hpctrain.config.field_gan import FieldGan
from hpctrain.config.ink import Ink
from hpctrain.config.job import Job
from hpctrain.config.networks import PatchCritic, ResidualCritic, Srsgan, Styled, UNet
from hpctrain.config.scroll_data import Scroll
from hpctrain.config.scroll_vae import ScrollVae
from hpctrain.config.task import Adversary, FieldToField, FieldTraining
from hpctrain.config.vicreg import Vicreg
from hpctrain.errors import ConfigError, DataError
from hpctrain.index.fields.plan import group_of
from hpctrain.index.fields.split import split_rows
from hpctrain.index.headers.file import read_header
from hpctrain.models.cost import cost
from hpctrain.models.sizes import sizes
from hpctrain.tasks.field_gan.listing import gan_rows
from hpctrain.tasks.pairs.listing import pair_rows
from hpctrain.tasks.scroll_vae.listing import known_scroll_rows, scroll_rows
from hpctrain.tasks.super_resolution.networks import (
    call_without_noise,
    halo_of,
    make_critic,
    make_generator,
    needs_style,
    on_fields,
)

_DCGAN_CELLS = 16
"""Its default four layers halve a field so far that it must be a multiple of these."""
Crop = tuple[int, int, int]
Row = dict[str, Any]


def list_models(
    job: Job | None,
    cwd: Path,
    crop: Crop | None = None,
    channels: tuple[int, int] | None = None,
    upscale_factor: int | None = None,
) -> list[Row]:
    """One row a network.

    Args:
        job: whose networks are listed; None: all that can be chosen by name, with their defaults.
        cwd: folder that relative paths of the job start from.
        crop: input cells of a sample; None: the job's, or 16 along each axis.
        channels: of input and target; None: of the job's files, or 1 each.
        upscale_factor: of the upsamplers, where there is no job.

    Raises:
        ConfigError: a network that cannot be made, or a crop that fits none.
    """
    if job is None:
        return _known(crop or (16, 16, 16), channels or (1, 1), upscale_factor or 4)
    if isinstance(job.train, ScrollVae | Ink):
        return scroll_rows(job.train, crop or _window(job))
    if isinstance(job.train, Vicreg | Dino):
        if crop is not None or channels is not None:
            raise ConfigError(
                "--crop and --channels: the job's data.modalities say them; change these with --set"
            )
        return pair_rows(job.train, job.pairs, cwd)
    if upscale_factor is not None:
        raise ConfigError("--factor: the job says it; give --set train.upscale_factor=...")
    sys.path[:0] = [str((cwd / Path(folder).expanduser()).resolve()) for folder in job.code]
    found = channels or _channels(job.fields, cwd)
    guess = len(job.fields.variables) or 1
    known = found or (guess, guess)
    if isinstance(job.train, FieldGan):
        return gan_rows(job.train, crop or job.fields.crop, known[1], is_assumed=found is None)
    if not isinstance(job.train, FieldTraining):
        raise ConfigError(f"train.task: {job.train.task} trains no fields")
    return _rows(job.train, crop or job.fields.crop, known, is_assumed=found is None)


def _window(job: Job) -> Crop:
    assert isinstance(job.data, Scroll)
    return job.data.window


def _known(crop: Crop, channels: tuple[int, int], factor: int) -> list[Row]:
    plain: dict[str, Any] = {"task": "field_to_field", "epochs": 1, "global_batch_size": 1}
    planar = (1, *crop[1:])
    rows: list[Row] = []
    for block in (UNet(kind="unet"), UNet(kind="vnet"), UNet(kind="unet", block="dense")):
        rows += _rows(FieldToField(**plain, generator=block), crop, channels)
        flat = block.model_copy(update={"dims": 2})
        rows += _rows(FieldToField(**plain, generator=flat), planar, channels)
    padded = UNet(kind="unet", padding=True)
    rows += _rows(FieldToField(**plain, generator=padded), crop, channels)
    for upsampler in (Srsgan(), Styled(kind="styled")):
        made = FieldToField(**plain, upscale_factor=factor, generator=upsampler)
        rows += _rows(made, crop, channels)
    for critic in (ResidualCritic(), PatchCritic(kind="patch")):
        adversary = Adversary(discriminator=critic)
        made = FieldToField(**plain, upscale_factor=factor, generator=Srsgan(), adversary=adversary)
        rows += _rows(made, crop, channels)[1:]
    for cells in (planar, crop):
        if all(n % _DCGAN_CELLS == 0 for n in cells if n > 1):
            made_of_noise = FieldGan(task="field_gan", epochs=1, global_batch_size=2)
            rows += gan_rows(made_of_noise, cells, channels[1])
    return rows + known_scroll_rows(crop)


def _rows(
    settings: FieldTraining, crop: Crop, channels: tuple[int, int], *, is_assumed: bool = False
) -> list[Row]:
    halo = halo_of(settings, crop)
    inputs, targets = channels
    a, b, c = (n + 2 * h for n, h in zip(crop, halo, strict=True))
    with torch.device("meta"):
        style = 1 if needs_style(settings) else 0
        generator = on_fields(make_generator(settings, inputs, targets, style))
    kind = _name(settings.generator)
    row = _row("generator", kind, generator, (inputs, a, b, c), call_without_noise)
    rows = [{**row, "crop": list(crop), "halo": list(halo)}]
    if settings.adversary:
        a, b, c = (n * settings.upscale_factor for n in crop)
        both = targets + (inputs if settings.adversary.conditional else 0)
        with torch.device("meta"):
            critic = on_fields(make_critic(settings, both))
        kind = _name(settings.adversary.discriminator)
        row = _row("discriminator", kind, critic, (both, a, b, c), _call)
        rows.append({**row, "crop": [a, b, c], "halo": [0, 0, 0]})
    return [{**row, "channels_assumed": is_assumed} for row in rows]


def _call(network: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = network(x)
    return y


def _row(role: str, kind: str, network: nn.Module, shape: tuple[int, ...], call: Any) -> Row:
    found = cost(network, shape, call)
    inner = getattr(network, "network", network)
    rule: Row = {"size_rule": None, "receptive_field": None, "padded_edge": None}
    if hasattr(inner, "extent"):
        how = sizes(inner)
        rule = {
            "size_rule": how.rule,
            "receptive_field": how.receptive_field or "all",
            "padded_edge": how.padded_edge,
        }
    return {
        "role": role,
        "kind": kind,
        "parameters": found.parameters,
        **rule,
        "input": list(shape),
        "output": list(found.output),
        "forward_gflop": found.forward_flop / 1e9,
        "training_gflop": found.training_flop / 1e9,
        "state_mb": found.state_bytes / 1e6,
        "activations_mb": found.kept_bytes / 1e6,
    }


def _name(block: Any) -> str:
    parts = [block.kind]
    if getattr(block, "block", None):
        parts.append(block.block)
    if getattr(block, "dims", 3) == 2:
        parts.append("2D")
    if getattr(block, "padding", False):
        parts.append("padded")
    return ", ".join(parts)


def _channels(fields: Fields, cwd: Path) -> tuple[int, int] | None:
    """Channels of input and target in the job's files; None where there are none yet."""
    root = (cwd / Path(fields.root).expanduser()).resolve()
    try:
        row = next(r for r in split_rows(fields, root) if r.status == "ok")
        groups = [
            group_of([read_header(root / name) for name in names], fields, is_input)
            for names, is_input in ((row.inputs, True), (row.targets, False))
            if names
        ]
    except (DataError, OSError, StopIteration):
        return None
    return len(groups[0].names), len(groups[-1].names)
