"""The `data:` block of pairs: an optical and a thermal picture of one scene, or one of them twice.

Always two modalities, `rgb` and `ir`; what each is fed with says its `channels`, so that a control
experiment can give the grey optical picture to `ir`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from hpctrain.config.crops import CropStage
from hpctrain.config.data_block import DataBlock
from hpctrain.config.order import Order
from hpctrain.config.pair_views import Share, Views
from hpctrain.config.schema import Schema
from hpctrain.config.words import Line

Size = Annotated[tuple[PositiveInt, PositiveInt], Field()]
Four = tuple[float, float, float, float]
Channels = Literal["rgb", "grey", "temperature", "temperature_bins", "grey+temperature"]
OPTICAL = ("rgb", "grey", "grey+temperature")
THERMAL = ("temperature", "temperature_bins", "grey+temperature")
"""Kinds of channels that are made of the optical, and of the thermal picture."""
NUM_CHANNELS: dict[str, int] = {
    "rgb": 3,
    "grey": 1,
    "temperature": 1,
    "temperature_bins": 3,
    "grey+temperature": 2,
}
CAMERA_MARGINS: Four = (685 / 3072, 215 / 2048, 445 / 3072, 240 / 2048)
"""Of a Mobotix camera of SAGE, aligned by hand (RBhupi/Konza_Mobo_Analysis); others differ."""
CAMERA_OFFSET, CAMERA_SCALE = 10.0, 20.0


def _margins(value: tuple[Share, Share, Share, Share]) -> tuple[float, float, float, float]:
    left, top, right, bottom = value
    if left + right >= 1 or top + bottom >= 1:
        raise ValueError(
            f"found {list(value)}, which leaves nothing; allowed: [left, top, right, bottom] in "
            "shares, left + right and top + bottom below 1"
        )
    return value


Margins = Annotated[tuple[Share, Share, Share, Share], AfterValidator(_margins)]


def _rising(value: Four) -> Four:
    if not value[0] < value[1] < value[2] < value[3]:
        raise ValueError(f"found {list(value)}; allowed: four numbers, each above the one before")
    return value


class Optical(Schema):
    """Where the optical picture is, and which part of it the thermal one shows."""

    column: Line = "rgb"
    """Modality of the index."""
    half: Literal["auto", "left", "right", "whole"] = "auto"
    """Which half of the file is the optical picture. auto: the half without the thermal sensor,
    whose side stands in the thermal file's name; the whole where no side does, or where the
    picture is half as wide as its name says."""
    margins: dict[Line, Margins] = {}
    """What the thermal picture does not show, by node, or by the index's column `mount` if it has
    one: [left, top, right, bottom] in shares of the optical picture; '*': all others. Those without
    have [0.223, 0.105, 0.145, 0.117], as one of SAGE's cameras, where a side stands in the thermal
    file's name, else nothing."""


class TemperatureBins(Schema):
    """Three bins of temperature, a channel each; one of the three ways to say where they are.

    A channel rises from 0 at the lower edge of its bin to 1 at the upper, and stays there.
    """

    edges: Annotated[Four, AfterValidator(_rising)] | None = None
    """Edges in degrees Celsius."""
    quantiles: Annotated[tuple[Share, Share, Share, Share], AfterValidator(_rising)] | None = None
    """Edges as shares of the pixels of training pictures below them, such as [0, 0.3, 0.7, 1]."""
    clouds: tuple[float, float] | None = None
    """Lowest and highest temperature of clouds: the second bin holds all of them; the outer edges
    are the 0.1 % and 99.9 % quantiles of training pictures."""

    @model_validator(mode="after")
    def _one_way(self) -> TemperatureBins:
        given = [n for n in ("edges", "quantiles", "clouds") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                f"found {' and '.join(given) or 'none'}; allowed: one of edges, quantiles, clouds"
            )
        if self.clouds is not None and self.clouds[0] >= self.clouds[1]:
            raise ValueError(f"clouds: found {list(self.clouds)}; allowed: a low and a higher one")
        return self


class Thermal(Schema):
    """Where the thermal picture is, and how temperatures become numbers of order 1."""

    column: Line = "thermal"
    """Modality of the index: a camera's .csv or .raw, a grey .png or .jpg, or .npy."""
    offset: float | None = None
    """A channel is (value - offset) / scale; null: 10 degrees Celsius. Grey pictures need both, in
    grey values, such as 127.5 and 64."""
    scale: PositiveFloat | None = None
    """See `offset`; null: 20 kelvins."""
    bins: TemperatureBins | None = None
    """Of `channels: temperature_bins`."""

    @model_validator(mode="after")
    def _both(self) -> Thermal:
        if (self.offset is None) != (self.scale is None):
            raise ValueError("offset and scale belong together; give both or none")
        return self


class PairModality(Schema):
    """What one encoder is fed with."""

    channels: Channels
    """rgb, or grey (0.299 R + 0.587 G + 0.114 B), of the optical picture; temperature of the
    thermal one, in three bins, or as a second channel beside grey."""
    size: Size
    """Rows and columns of the whole picture, once it shows what the other one shows."""
    crop: Size
    """Rows and columns of a crop."""
    local_crop: Size | None = None
    """Rows and columns of a local crop, see `views.local_count`."""
    validation_size: Size | None = None
    """The whole picture in validations and embeddings; null: `size`."""
    mean: list[float] | None = None
    """Subtracted from optical channels, whose values are 0 to 1; null: ImageNet's [0.485, 0.456,
    0.406], and 0.449 of grey."""
    std: list[float] | None = None
    """By which they are divided then; null: ImageNet's [0.229, 0.224, 0.225], and 0.226 of grey."""

    @property
    def num_channels(self) -> int:
        """Channels of a crop."""
        return NUM_CHANNELS[self.channels]

    @property
    def is_optical(self) -> bool:
        """Whether it takes something of the optical picture."""
        return self.channels in OPTICAL

    @property
    def is_thermal(self) -> bool:
        """Whether it takes something of the thermal picture."""
        return self.channels in THERMAL

    @model_validator(mode="after")
    def _normalised(self) -> PairModality:
        wanted = {"rgb": 3, "grey": 1, "grey+temperature": 1}.get(self.channels, 0)
        for name in ("mean", "std"):
            given = getattr(self, name)
            if given is not None and len(given) != wanted:
                raise ValueError(
                    f"{name}: found {len(given)} numbers; channels {self.channels} has {wanted} "
                    "optical ones"
                )
        if self.std is not None and min(self.std, default=1.0) <= 0:
            raise ValueError(f"std: found {self.std}; allowed: numbers above 0")
        return self


class PairModalities(Schema):
    """Both of them; the names stand for encoders."""

    rgb: PairModality
    """First."""
    ir: PairModality
    """Second."""

    def items(self) -> tuple[tuple[str, PairModality], ...]:
        """Names and what they are, in order."""
        return ("rgb", self.rgb), ("ir", self.ir)


class Pairs(DataBlock):
    """Pairs of pictures of one scene, such as sky cameras with an optical and a thermal eye."""

    kind: Literal["pairs"]
    root: str = "."
    """Folder that the index's paths are relative to: its own root, unless another is given."""
    index: str
    """Index that `hpctrain index build` wrote and `hpctrain index split` divided."""
    where: Line | None = None
    """Only samples that fit this expression on columns of the index, as in `hpctrain index show`,
    such as 'daylight == "night" and view == "sky"'; others are not frozen into the run."""
    optical: Optical = Optical()
    """The optical picture."""
    thermal: Thermal = Thermal()
    """The thermal picture."""
    modalities: PairModalities
    """What is learned from."""
    views: Views = Views()
    """Crops of training samples."""
    augment_on: Literal["workers", "device"] = "workers"
    """Where crops are made: by the threads that read, or in batch on the device; both draw the same
    numbers."""
    cache: bool = True
    """Keep decoded pictures, as large as `size`, so that each file is decoded once."""
    cache_dir: Line | None = None
    """Absolute path of a folder for them that several runs may share; variables such as $TMPDIR are
    expanded on the node; null: cache/ in the run directory."""
    cache_limit_gb: PositiveFloat | None = None
    """Most room that those of this index may take in a folder, in 10^9 bytes; further pairs are not
    written. null: no limit, and a warning where the disk has less free than all of them need."""

    @property
    def order(self) -> Order:
        """Any sample may follow any other."""
        return Order()

    @property
    def crop_stages(self) -> list[CropStage]:
        """Crops have one size throughout."""
        return []

    @model_validator(mode="after")
    def _local(self) -> Pairs:
        for name, modality in self.modalities.items():
            if (modality.local_crop is None) == bool(self.views.local_count):
                raise ValueError(
                    f"modalities.{name}.local_crop goes with views.local_count "
                    f"{self.views.local_count}; give both or none"
                )
        return self

    @model_validator(mode="after")
    def _has_effect(self) -> Pairs:
        kinds = {modality.channels for _, modality in self.modalities.items()}
        if ("temperature_bins" in kinds) != (self.thermal.bins is not None):
            raise ValueError(
                "thermal.bins belongs to channels: temperature_bins; give both or none"
            )
        if self.thermal.offset is not None and not kinds & {"temperature", "grey+temperature"}:
            raise ValueError(
                "thermal.offset has no effect, as no channel is a temperature; leave it out"
            )
        blocks = {"colour": OPTICAL, "thermal": THERMAL}
        for name, own in blocks.items():
            # by its value: a run's config.yaml says all fields, also those that nobody gave
            if getattr(self.views, name) != getattr(Views(), name) and not kinds & set(own):
                raise ValueError(f"views.{name} has no effect on {' and '.join(sorted(kinds))}")
        for name in ("cache_dir", "cache_limit_gb"):
            if getattr(self, name) is not None and not self.cache:
                raise ValueError(f"{name} has no effect with cache: false; leave one of them out")
        if self.cache_dir is not None and self.cache_dir[0] not in "/$":
            raise ValueError(
                f"cache_dir: found {self.cache_dir!r}; allowed: an absolute path, or one that "
                "begins with a variable of the node"
            )
        return self
