"""Sizes of samples: stages of a training with crops of their own, and what networks can take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import PositiveInt

from hpctrain.config.schema import Schema

if TYPE_CHECKING:
    from hpctrain.config.data import Fields
    from hpctrain.config.task import FieldTraining, Task

Sizes = tuple[PositiveInt, PositiveInt, PositiveInt]
Misfit = tuple[str, str]
"""Key of the `data:` block, and what is wrong with it."""


class CropStage(Schema):
    """Some epochs on crops of their own size."""

    epochs: PositiveInt
    """How many."""
    crop: Sizes
    """Size of one sample in input cells along each axis."""
    stride: Sizes | None = None
    """Distance of neighbouring samples in input cells; null: `crop`, so that they tile it."""


def repeated(data: Fields) -> str | None:
    """What is wrong where two stages in a row cut alike; None: nothing."""
    cuts = [(stage.crop, stage.stride or stage.crop) for stage in data.crop_stages]
    cuts.append((data.crop, data.stride or data.crop))
    for number, (one, next_one) in enumerate(zip(cuts, cuts[1:], strict=False)):
        if one == next_one:
            is_last = number + 1 == len(data.crop_stages)
            follower = "crop" if is_last else f"crop_stages[{number + 1}]"
            return (
                f"crop_stages[{number}] cuts samples of {list(one[0])} as {follower} does, which "
                "follows it; make them one"
            )
    return None


def crop_misfit(data: Fields, train: Task) -> Misfit | None:
    """Why a task cannot be trained on the crops of a `data:` block; None: it can.

    Args:
        data: the `data:` block.
        train: the `train:` block.
    """
    if train.task == "field_gan":
        text = "the networks of field_gan are made for one size, that of data.crop; leave it out"
        return ("crop_stages", text) if data.crop_stages else None
    if train.task == "scroll_vae" or train.task == "ink":
        return None  # neither learns from fields, which is told elsewhere
    if train.task == "vicreg" or train.task == "dino":
        return None
    epochs = sum(stage.epochs for stage in data.crop_stages)
    if data.crop_stages and epochs >= train.epochs:
        return "crop_stages", (
            f"its stages last {epochs} epochs and train.epochs is {train.epochs}, so that none is "
            f"left for data.crop {list(data.crop)}; shorten them, or give train.epochs "
            f"{epochs + 1} or more"
        )
    return _too_thick(data, train) or _too_small(data, train)


def _too_thick(data: Fields, train: FieldTraining) -> Misfit | None:
    """A network of two axes takes planes."""
    if getattr(train.generator, "dims", 3) == 3:
        return None
    for key, crop, _ in _stages(data, train.epochs):
        if crop[0] != 1:
            return key.split("[")[0], (
                f"found {list(crop)}, and train.generator.dims 2 works on planes; give one cell "
                "along the first axis, such as [1, 64, 64]"
            )
    return None


def _too_small(data: Fields, train: FieldTraining) -> Misfit | None:
    """A discriminator needs some cells for a single score; of user code that is not known here."""
    if train.adversary is None:
        return None
    critic, factor = train.adversary.discriminator, train.upscale_factor
    least = critic.least_cells(factor)
    for key, crop, stop in _stages(data, train.epochs):
        seen = [n * factor for axis, n in enumerate(crop) if axis or getattr(critic, "dims", 3) > 2]
        if stop > train.pretrain_epochs and min(seen) < least:
            return key.split("[")[0], (
                f"{key} {list(crop)} gives fields of {min(seen)} cells along an axis, and the "
                f"discriminator needs {least} for a score; give a larger crop, or a discriminator "
                f"of fewer blocks or layers{', or more pretrain_epochs' * (key != 'crop')}"
            )
    return None


def _stages(data: Fields, epochs: int) -> Iterator[tuple[str, Sizes, int]]:
    """Where each crop stands, its cells, and one past its last epoch."""
    stop = 0
    for number, stage in enumerate(data.crop_stages):
        stop += stage.epochs
        yield f"crop_stages[{number}].crop", stage.crop, stop
    yield "crop", data.crop, epochs
