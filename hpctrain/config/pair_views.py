"""The `data.views:` block of pairs: which crops are made of both pictures, and how they change."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from hpctrain.config.schema import Schema

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Part = tuple[
    Annotated[float, Field(gt=0.0, le=1.0)],
    Annotated[float, Field(gt=0.0, le=1.0)],
]
Sigma = tuple[NonNegativeFloat, NonNegativeFloat]


def _several(value: Any) -> Any:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    # a tuple: a strict check, as of a run's config.yaml, takes no list behind a validator
    return (value,) if is_one else tuple(value) if isinstance(value, list) else value


Shares = Annotated[tuple[Share, ...], BeforeValidator(_several), Field(min_length=1)]
"""A share of the samples: one number for all crops, or one for each crop and a last for local."""


def _check_rising(block: Schema, *names: str) -> None:
    for name in names:
        low, high = getattr(block, name)
        if low > high:
            raise ValueError(f"{name}: found {[low, high]}; allowed: a low and a higher number")


class ColourChanges(Schema):
    """Random changes of what comes from the optical picture, values 0 to 1, in this order."""

    probability: Shares = (0.8,)
    """Share of the crops whose brightness, contrast, saturation and hue change."""
    brightness: Share = 0.4
    """Multiply by 1 - this to 1 + this."""
    contrast: Share = 0.4
    """Distances from the mean grey value, likewise."""
    saturation: Share = 0.2
    """Distances of each pixel from its grey value, likewise."""
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = 0.1
    """Turn colours by up to this share of a circle either way."""
    grey: Shares = (0.2,)
    """Share of the crops that lose their colour."""
    blur: Shares = (0.0,)
    """Share of the crops that are blurred."""
    blur_sigma: Sigma = (0.1, 2.0)
    """Standard deviation of the blur in pixels of the crop, drawn between both."""
    solarise: Shares = (0.0,)
    """Share of the crops of which values from `solarise_from` on are inverted."""
    solarise_from: Share = 0.5
    """See `solarise`."""

    @model_validator(mode="after")
    def _rising(self) -> ColourChanges:
        _check_rising(self, "blur_sigma")
        return self


class ThermalChanges(Schema):
    """Random changes of temperatures, in this order."""

    gain_std: NonNegativeFloat = 0.0
    """Multiply distances from the crop's mean by the exponential of a normal number."""
    offset_std_k: NonNegativeFloat = 0.0
    """Add one normal number to a crop, in kelvins."""
    blur: Shares = (0.0,)
    """Share of the crops that are blurred."""
    blur_sigma: Sigma = (0.1, 2.0)
    """Standard deviation of the blur in pixels of the crop, drawn between both."""
    noise_std_k: NonNegativeFloat = 0.0
    """Add a normal number to each pixel, in kelvins; a camera's is about 0.05."""

    @model_validator(mode="after")
    def _rising(self) -> ThermalChanges:
        _check_rising(self, "blur_sigma")
        return self


class Views(Schema):
    """Crops of a training sample; each draw belongs to (seed, epoch, sample, crop).

    A crop shows the same part of the scene in both modalities, each at its own resolution.
    """

    count: PositiveInt = 1
    """Crops of each sample in each modality."""
    scale: Part = (0.4, 1.0)
    """Share of the picture's area that a crop shows, drawn between both."""
    ratio: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.75, 4 / 3)
    """Its width is stretched by a number between both, drawn on a logarithmic scale."""
    local_count: NonNegativeInt = 0
    """Further, smaller crops (DINO's local views), of `local_crop` pixels."""
    local_scale: Part = (0.05, 0.25)
    """Share of the picture's area that they show."""
    flip: Share = 0.5
    """Share of the crops that are mirrored left to right, both modalities alike."""
    flip_vertical: Share = 0.0
    """Share that are mirrored top to bottom."""
    rotation: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    """Turn a crop by up to so many degrees either way; what lies outside is mirrored inwards."""
    colour: ColourChanges = ColourChanges()
    """Changes of rgb and grey channels."""
    thermal: ThermalChanges = ThermalChanges()
    """Changes of temperatures."""

    @property
    def total(self) -> int:
        """Crops of a sample in each modality."""
        return self.count + self.local_count

    @model_validator(mode="after")
    def _rising(self) -> Views:
        _check_rising(self, "scale", "ratio", "local_scale")
        return self

    @model_validator(mode="after")
    def _one_each(self) -> Views:
        wanted = self.count + bool(self.local_count)
        lists = [(self.colour, "colour", n) for n in ("probability", "grey", "blur", "solarise")]
        for block, where, name in [*lists, (self.thermal, "thermal", "blur")]:
            found = len(getattr(block, name))
            if found not in (1, wanted):
                raise ValueError(
                    f"{where}.{name}: found {found} numbers; allowed: 1, or {wanted}: one for each "
                    f"of {self.count} crops{' and one for local crops' * bool(self.local_count)}"
                )
        return self

    def share(self, shares: tuple[float, ...], view: int) -> float:
        """The share that holds for a crop, by its number."""
        return shares[0] if len(shares) == 1 else shares[min(view, self.count)]
