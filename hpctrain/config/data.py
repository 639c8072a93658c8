"""The `data:` block: which files a training reads and how samples are cut from them.

A union of kinds, told apart by the key `kind`: fields on a grid here, scrolls in `scroll_data`,
pairs of pictures in `pair_data`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from pydantic_core import PydanticCustomError

from hpctrain.config.crops import CropStage, repeated
from hpctrain.config.data_block import DataBlock
from hpctrain.config.norms import Normalization
from hpctrain.config.order import Order
from hpctrain.config.pair_data import Pairs as Pairs
from hpctrain.config.schema import Schema
from hpctrain.config.scroll_data import Scroll as Scroll

Triple = Annotated[tuple[PositiveInt, PositiveInt, PositiveInt], Field()]
Cell = tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]
Padding = Literal["periodic", "reflect", "repeat", "none"]


class Steps(Schema):
    """Which of the matched files (time steps, in sorted order) are used."""

    start: NonNegativeInt = 0
    """First file."""
    stop: PositiveInt | None = None
    """One past the last file; null means up to the end."""
    stride: PositiveInt = 1
    """Take every stride-th file."""


class Augment(Schema):
    """Random changes of a sample; each draw belongs to (seed, epoch, sample id)."""

    roll_longitude: bool = True
    """Sphere: cut each slab at a random longitude and turn vx, vy into the slab's own frame."""
    random_shift: bool = False
    """Box: move each crop by a random whole number of input cells along every axis."""
    max_shift: Triple | None = None
    """Box: with `random_shift`, move by less than so many cells; null: anywhere."""
    octahedral: bool = False
    """Box: turn and mirror each sample by one of the 48 symmetries of a cube (8 of a square);
    vectors turn along. Axes of unequal crops are mirrored, not exchanged."""
    additive_std: NonNegativeFloat = 0.0
    """Add one normal number a channel to input and target alike, in normalised units."""
    multiplicative_std: NonNegativeFloat = 0.0
    """Multiply each channel of input and target by the exponential of a normal number."""

    @model_validator(mode="after")
    def _shifted(self) -> Augment:
        if self.max_shift and not self.random_shift:
            raise ValueError("max_shift has no effect without random_shift: true; add it")
        return self


_CHOOSING = (
    "targets",
    "inputs",
    "validation_targets",
    "validation_inputs",
    "validation_steps",
    "steps",
)
"""Keys that choose files, each without effect beside an index."""


class Fields(DataBlock):
    """Fields on a grid: SciVis NetCDF files, or npy files in map2map's layout.

    Axes are (r, lat, lon) on a sphere and (x, y, z) in a box; arrays are channels first.
    """

    kind: Literal["fields"]
    root: str = "."
    """Folder that all patterns are relative to; itself relative to where `render` is called. With
    an index its own root, unless another is given."""
    index: str | None = None
    """Index that `hpctrain index build` wrote, with modalities target and, if there are
    low-resolution files, input; its splits are used. Instead of the patterns below."""
    targets: list[str] = []
    """High-resolution files: one glob pattern a field; fields are joined on the channel axis."""
    inputs: list[str] = []
    """Low-resolution files, one pattern a field; empty: block means of the targets."""
    validation_targets: list[str] = []
    """Patterns of files that are never trained on; empty: the last `validation_steps` files."""
    validation_inputs: list[str] = []
    """Low-resolution twins of `validation_targets`."""
    validation_steps: NonNegativeInt = 0
    """How many of the last files are kept for validation."""
    variables: list[str] = []
    """Variables of a NetCDF file in channel order; empty: all of the first file."""
    steps: Steps = Steps()
    """Subset of the files (time steps)."""
    geometry: Literal["sphere", "box"] = "sphere"
    """Sphere: longitude periodic, latitude mirrored, radius neither. Box: all axes periodic."""
    padding: tuple[Padding, Padding, Padding] | None = None
    """What lies outside along each axis: periodic, reflect (mirrored at the outer face), repeat (of
    the outermost cell), or none (crops keep off the edges by the halo); null: of the geometry."""
    shells: tuple[NonNegativeInt, PositiveInt] | None = None
    """Sphere: radial layers [start, stop) that are used; null: all but corrupt ones (SciVis)."""
    grid: Triple | None = None
    """Resample the target to this many cells (r, lat, lon) by linear interpolation; null: as is."""
    crop: Triple
    """Size of one sample in input cells along each axis."""
    crop_stages: list[CropStage] = []
    """First epochs on crops of other sizes, mostly smaller ones, stage after stage; the epochs that
    are left, validations and predictions take `crop`."""
    stride: Triple | None = None
    """Distance of neighbouring samples in input cells; null: `crop`, so that they tile it."""
    crop_start: Cell | None = None
    """First input cell of the first sample; null: the corner of the field."""
    crop_stop: Triple | None = None
    """Samples start below these input cells; null: up to the opposite corner."""
    slice_axes: Annotated[tuple[Literal[0, 1, 2], ...], Field(min_length=1, max_length=3)] = (0,)
    """task field_gan, box, a crop of one cell along the first axis: axes across which the field is
    cut into slices; crop and stride are those of a slice across axis 0, and turn along."""
    normalization: Literal["standard", "minmax", "none"] = "standard"
    """One scale a variable, measured on training files; vector components share theirs."""
    target_norms: list[Normalization] = []
    """One normalisation for each pattern of `targets`, or with an index for each file of a sample;
    empty: `normalization`."""
    input_norms: list[Normalization] = []
    """One for each pattern of `inputs`; empty: those of targets where inputs are such, else
    `normalization`."""
    styles: str | None = None
    """CSV file below root: a column `file` (a path of the first target pattern) and a column for
    each number that a styled generator is told of it, such as the redshift; null: none."""
    augment: Augment = Augment()
    """Random changes of a sample."""
    order: Order = Order()
    """In which order samples are trained on."""

    @model_validator(mode="after")
    def _stages_differ(self) -> Fields:
        text = repeated(self)
        if text:
            raise ValueError(text)
        return self

    @model_validator(mode="after")
    def _index_or_patterns(self) -> Fields:
        if self.index is None:
            if not self.targets:
                text = "found none; allowed: a list of 1 or more patterns, or data.index instead"
                raise PydanticCustomError(
                    "rule", "{text}", {"text": text, "path": ("data", "targets")}
                )
            return self
        defaults = {name: type(self).model_fields[name].default for name in _CHOOSING}
        given = [name for name in _CHOOSING if getattr(self, name) != defaults[name]]
        if given:
            raise ValueError(
                f"index says which files are used, so {', '.join(given)} would have no effect; "
                "leave one of both out"
            )
        return self

    @model_validator(mode="after")
    def _twins(self) -> Fields:
        for name in ("targets", "inputs"):
            patterns, norms = getattr(self, name), getattr(self, f"{name[:-1]}_norms")
            if norms and self.index is None and len(norms) != len(patterns):
                raise ValueError(
                    f"{name[:-1]}_norms has {len(norms)} entries and {name} {len(patterns)} "
                    "patterns; give one for each, or none"
                )
        if self.validation_targets and self.validation_steps:
            raise ValueError("give validation_targets or validation_steps, not both")
        if self.validation_inputs and not self.validation_targets:
            raise ValueError("validation_inputs needs validation_targets")
        if self.validation_targets and bool(self.inputs) != bool(self.validation_inputs):
            raise ValueError("inputs and validation_inputs must both be given or both be left out")
        if self.shells and self.shells[1] <= self.shells[0]:
            raise ValueError(
                f"shells {list(self.shells)} is empty; give [start, stop) with stop > start"
            )
        return self


Data = Annotated[Fields | Scroll | Pairs, Field(discriminator="kind")]
"""Union of all kinds of data, discriminated by `kind`."""
