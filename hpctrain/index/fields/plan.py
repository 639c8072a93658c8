"""What the samples of a training are cut from: grids of target and input, for both halves.

The index asks this at render time for npy and netCDF-3; the trainer asks again with open files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hpctrain.errors import DataError
from hpctrain.index.fields.grid import (
    Grid,
    Triple,
    check_crop,
    coarse_options,
    coarse_shape,
    plan_grid,
)
from hpctrain.index.fields.layout import Layout, channel_names, layouts_of
from hpctrain.index.headers.arrays import FileHeader

if TYPE_CHECKING:
    from hpctrain.config.data import Fields


@dataclass(frozen=True)
class Group:
    """The files of one sample, one a pattern, and how their fields lie."""

    headers: tuple[FileHeader, ...]
    layouts: tuple[Layout, ...]
    names: tuple[str, ...]
    """Channels in order."""


@dataclass(frozen=True)
class Plan:
    """Grids of a training."""

    target: Grid
    input: Grid | None
    """None: inputs are block means of the target."""
    coarse: Triple
    """Cells of the low-resolution field."""


def group_of(headers: Sequence[FileHeader], fields: Fields, is_input: bool = False) -> Group:
    """The fields of one sample's files.

    Args:
        headers: one a pattern, arrays filled in.
        fields: the `data:` block.
        is_input: the low-resolution files.

    Raises:
        DataError: see `layouts_of` and `channel_names`.
    """
    layouts = layouts_of(headers, fields.geometry, fields.variables)
    patterns = fields.inputs if is_input else fields.targets
    if not patterns:  # an index chose the files: their names without the number of the step
        patterns = [re.sub(r"\d+", "*", str(header.path)) for header in headers]
    names = channel_names(layouts, patterns, fields.variables, is_input)
    return Group(tuple(headers), layouts, names)


def plan_fields(
    fields: Fields,
    upscale_factor: int,
    target: Group,
    target_longitudes: Sequence[float],
    inputs: Group | None = None,
    input_longitudes: Sequence[float] = (),
) -> Plan:
    """Decide on the cells of target and input and check that samples fit.

    Args:
        fields: the `data:` block.
        upscale_factor: target cells a low-resolution cell along each axis.
        target: files of the first sample.
        target_longitudes: their longitudes in degrees; empty when unknown.
        inputs: low-resolution files of the first sample; None: block means of the target.
        input_longitudes: their longitudes.

    Raises:
        DataError: see `plan_grid`, `coarse_shape` and `check_crop`, or an input that is not
            `upscale_factor` times coarser than the target.
    """
    fine = grid_of(fields, target, fields.shells, fields.grid, target_longitudes)
    where = str(target.headers[0].path)
    coarse = coarse_shape(where, fine, upscale_factor)
    check_crop(where, fine, coarse, fields.crop, "crop")
    for number, stage in enumerate(fields.crop_stages):
        check_crop(where, fine, coarse, stage.crop, f"crop_stages[{number}].crop")
    if inputs is None:
        return Plan(fine, None, coarse)
    shells, cells = coarse_options(fields.shells, fields.grid, upscale_factor)
    given = grid_of(fields, inputs, shells, cells, input_longitudes)
    if given.shape != coarse:
        raise DataError(
            f"{inputs.headers[0].path}: {_by(given.shape)} cells are used, but the target "
            f"{target.headers[0].path.name} has {_by(fine.shape)} and upscale_factor is "
            f"{upscale_factor}, which asks for {_by(coarse)}; give matching files, or leave out "
            "data.inputs to train on block means of the target"
        )
    return Plan(fine, given, coarse)


def grid_of(
    fields: Fields,
    group: Group,
    shells: tuple[int, int] | None,
    cells: Triple | None,
    longitudes: Sequence[float],
) -> Grid:
    """The cells of a sample's files that are used; see `plan_grid`."""
    header, layout = group.headers[0], group.layouts[0]
    title = next(
        (t for k in ("title", "source") if isinstance(t := header.attributes.get(k), str)), ""
    )
    return plan_grid(
        str(header.path),
        fields.geometry,
        layout.shape,
        shells=shells,
        grid=cells,
        title=title,
        longitudes=longitudes,
    )


def _by(shape: Triple) -> str:
    return " x ".join(map(str, shape))


def without_offsets(layout: Layout) -> Layout:
    """The layout without byte offsets, which may differ between files of one kind."""
    return replace(layout, arrays=tuple(replace(a, offset=0, attributes={}) for a in layout.arrays))
