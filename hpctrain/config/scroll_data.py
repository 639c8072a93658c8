"""The `data:` block of scrolls: volumes of papyrus, and the windows that are drawn from them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from hpctrain.config.crops import CropStage
from hpctrain.config.data_block import DataBlock
from hpctrain.config.order import Order
from hpctrain.config.schema import Schema
from hpctrain.config.words import Line

Triple = Annotated[tuple[PositiveInt, PositiveInt, PositiveInt], Field()]
Pair = Annotated[tuple[PositiveInt, PositiveInt], Field()]
Range = Annotated[tuple[NonNegativeInt, PositiveInt], Field()]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
_RANGES = ("layers", "rows", "columns")
"""Ranges of cells along z, y and x."""
HELD_OUT = 0.15
"""Share of each volume that is validated on, where nothing else is said."""


def _check_ranges(block: Schema) -> None:
    for name in _RANGES:
        given = getattr(block, name)
        if given is not None and given[1] <= given[0]:
            raise ValueError(f"{name}: found {list(given)}; allowed: [start, stop), stop > start")


class ScrollAugment(Schema):
    """Random changes of training windows; each draw belongs to (seed, epoch, sample).

    What moves cells moves those of volume, label and mask alike.
    """

    flip: bool = True
    """Mirror along y and along x, each for half of the samples."""
    rotate: bool = True
    """Turn by right angles in the plane (y, x); windows that are not square by 180 degrees only."""
    flip_depth: bool = False
    """Mirror along z for half of the samples; not for surfaces, whose ink lies on one side."""
    depth_shift: NonNegativeInt = 0
    """sample: surface: move the window by up to so many layers up or down, within `layers`."""
    multiplicative_std: NonNegativeFloat = 0.0
    """Multiply the grey values of a window by the exponential of a normal number."""
    additive_std: NonNegativeFloat = 0.0
    """Add one normal number to the grey values of a window, in normalised units."""
    noise_std: NonNegativeFloat = 0.0
    """Add a normal number to each voxel, in normalised units."""
    cutout: Pair | None = None
    """Largest rectangle (y, x) that is blanked through all layers; labels do not count there.
    null: none."""
    cutout_probability: Share = 0.5
    """With `cutout`: share of the samples that have one."""
    blank_layers: NonNegativeInt = 0
    """Blank up to so many whole layers; labels count all the same."""

    @model_validator(mode="after")
    def _cut(self) -> ScrollAugment:
        if self.cutout is None and self.cutout_probability != 0.5:
            raise ValueError("cutout_probability has no effect without cutout; give both")
        return self


class ScrollValidation(Schema):
    """What is validated on; no training window has a cell of it.

    One of: whole volumes, a share of each volume, or a box of cells of the only volume.
    """

    volumes: list[str] = []
    """Patterns of volumes that are never trained on."""
    share: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Share of each volume, the last cells along `axis`; null: 0.15, where neither volumes nor a
    box are given."""
    axis: Literal["z", "y", "x"] = "x"
    """Along which a share is cut off."""
    layers: Range | None = None
    """A box: layers [start, stop) along z; null: all."""
    rows: Range | None = None
    """A box: rows [start, stop) along y; null: all."""
    columns: Range | None = None
    """A box: columns [start, stop) along x; null: all."""
    stride: Triple | None = None
    """Distance (z, y, x) of neighbouring windows to validate on; null: they tile the part."""
    samples: PositiveInt | None = 1024
    """At most so many windows, evenly spread over the part; null: all."""

    @property
    def has_box(self) -> bool:
        """Whether a box of cells is held out."""
        return any(getattr(self, name) is not None for name in _RANGES)

    @property
    def held_out(self) -> float:
        """Share of each volume along `axis`; 0: none."""
        if self.volumes or self.has_box:
            return 0.0
        return HELD_OUT if self.share is None else self.share

    @model_validator(mode="after")
    def _one_way(self) -> ScrollValidation:
        given = {
            "volumes": bool(self.volumes),
            "share": self.share is not None,
            "a box (layers, rows, columns)": self.has_box,
        }
        ways = [name for name, is_given in given.items() if is_given]
        if len(ways) > 1:
            raise ValueError(f"found {' and '.join(ways)}; allowed: one of {', '.join(given)}")
        if self.axis != "x" and not self.held_out:
            raise ValueError(f"axis has an effect with a share alone, not with {ways[0]}; drop it")
        _check_ranges(self)
        return self


class Scroll(DataBlock):
    """Volumes of papyrus, and windows that are drawn from them; all sizes are (z, y, x).

    A volume is a fragment or segment (surface_volume/ or layers/ beside inklabels.png, mask.png,
    ir.png), a .volpkg, a folder of slices, a Zarr or OME-Zarr group, or a TIFF, npy or npz file.
    """

    kind: Literal["scroll"]
    volumes: Annotated[list[str], Field(min_length=1)]
    """Paths or patterns of volumes; those of `validation.volumes` are taken out."""
    array: Line | None = None
    """Which array of a Zarr group, npz file or .volpkg; null: `volume`, the highest resolution, or
    the only one."""
    sample: Literal["cube", "surface"]
    """cube: windows anywhere in the volume; surface: windows about the middle of `layers`, where a
    flattened volume has its surface."""
    window: Triple
    """Voxels of a sample along z, y, x."""
    layers: Range | None = None
    """Layers [start, stop) along z that are used; null: all."""
    rows: Range | None = None
    """Rows [start, stop) along y that are used; null: all."""
    columns: Range | None = None
    """Columns [start, stop) along x that are used; null: all."""
    labels: Line | None = "inklabels"
    """Picture or array of a volume that says where ink is, 0 and 1 or 0 and 255; all volumes have
    it, or none; null: labels are not read."""
    mask: Line | None = "mask"
    """Picture or array that says where papyrus is: the middle of each window is there, and labels
    count there alone; volumes without it are used everywhere. null: not read."""
    infrared: Line | None = "ir"
    """Picture in infrared light, for figures; null: none."""
    papyrus_above: NonNegativeFloat | None = None
    """Grey value above which a voxel is papyrus: windows with less than `papyrus_share` of it are
    drawn again, up to eight times. null: windows are not looked at."""
    papyrus_share: Share = 0.5
    """With `papyrus_above`: voxels of a window that are papyrus, as a share."""
    samples_per_epoch: PositiveInt
    """Windows of a training epoch, each drawn by (seed, epoch, number) from everywhere."""
    edge_share: Share = 0.0
    """Share of the training windows whose middle is on an edge of ink."""
    ink_share: Share | None = None
    """Share of the others whose middle is ink; null: as it comes."""
    pool: PositiveInt | None = None
    """Draw so many windows, and train on them again and again; null: each window is new."""
    pool_lasts: PositiveInt | None = None
    """With `pool`: samples after which it is drawn anew; null: never."""
    validation: ScrollValidation = ScrollValidation()
    """What is validated on."""
    normalization: Literal["standard", "percentiles", "limits", "sample", "none"] = "standard"
    """standard: mean 0 and deviation 1 over each volume; percentiles, limits: these grey values
    become 0 and 1, and what is beyond is cut off; sample: mean 0 and deviation 1 of each window;
    none: grey values. Measured on training windows."""
    percentiles: tuple[float, float] = (0.5, 99.5)
    """normalization: percentiles: of each volume's grey values."""
    limits: tuple[float, float] | None = None
    """normalization: limits: the two grey values."""
    augment: ScrollAugment = ScrollAugment()
    """Random changes of training windows."""

    @property
    def order(self) -> Order:
        """Samples come as they are drawn; there is nothing to divide."""
        return Order()

    @property
    def crop_stages(self) -> list[CropStage]:
        """Windows have one size throughout."""
        return []

    @property
    def index(self) -> None:
        """The patterns say which files are used."""
        return

    @model_validator(mode="after")
    def _drawn(self) -> Scroll:
        needs = {
            "edge_share": bool(self.edge_share),
            "ink_share": self.ink_share is not None,
        }
        for name, is_given in needs.items():
            if is_given and self.labels is None:
                raise ValueError(f"{name}: has no effect with labels: null; drop one of them")
        if self.papyrus_above is None and self.papyrus_share != 0.5:
            raise ValueError("papyrus_share has no effect without papyrus_above; give both")
        if self.pool_lasts is not None and self.pool is None:
            raise ValueError("pool_lasts has no effect without pool; give both")
        return self

    @model_validator(mode="after")
    def _fits(self) -> Scroll:
        _check_ranges(self)
        room = self.augment.depth_shift if self.sample == "surface" else 0
        for name, cells, needed in zip(_RANGES, self.window, (2 * room, 0, 0), strict=True):
            given = getattr(self, name)
            if given is not None and given[1] - given[0] < cells + needed:
                shift = f" and is moved by up to {room}" if needed else ""
                raise ValueError(
                    f"{name}: {list(given)} has {given[1] - given[0]}, and a window takes "
                    f"{cells}{shift}; give a wider range or a smaller window"
                )
        if self.sample == "cube" and self.augment.depth_shift:
            raise ValueError(
                "augment.depth_shift: has no effect with sample: cube, whose depth is drawn anyway"
            )
        if self.sample == "surface" and self.augment.flip_depth:
            raise ValueError(
                "augment.flip_depth: would put the ink of a surface on its other side; drop it, or "
                "choose sample: cube"
            )
        if self.sample == "surface" and (self.validation.layers or self.validation.axis == "z"):
            raise ValueError(
                "validation: cuts along z, across which all windows of a surface lie; cut along "
                "y or x, or choose sample: cube"
            )
        if self.augment.blank_layers >= self.window[0]:
            raise ValueError(
                f"augment.blank_layers: {self.augment.blank_layers} of {self.window[0]} layers; "
                "leave at least one"
            )
        return self

    @model_validator(mode="after")
    def _normalised(self) -> Scroll:
        if (self.limits is not None) != (self.normalization == "limits"):
            raise ValueError("limits belongs to normalization: limits; give both or none")
        if self.limits is not None and self.limits[0] >= self.limits[1]:
            raise ValueError(
                f"limits: found {list(self.limits)}; allowed: a low and a higher value"
            )
        default = type(self).model_fields["percentiles"].default
        if self.normalization != "percentiles" and self.percentiles != default:
            raise ValueError(
                f"percentiles has no effect with normalization: {self.normalization}; leave it "
                "out, or choose normalization: percentiles"
            )
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(
                f"percentiles: found {list(self.percentiles)}; allowed: two numbers from 0 to 100, "
                "the first the lower"
            )
        return self
