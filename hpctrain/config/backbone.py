"""Networks that turn a picture into a vector: the `backbone` blocks of RGB + infrared tasks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from hpctrain.config.schema import Schema
from hpctrain.config.words import Line


class VitBackbone(Schema):
    """Vision transformer (Dosovitskiy et al. 2021), in the sizes of DINO."""

    kind: Literal["vit"] = "vit"
    """Its vector is the class token behind the last norm."""
    size: Literal["tiny", "small", "base"] = "small"
    """Width 192, 384 or 768 with 3, 6 or 12 heads."""
    patch_size: PositiveInt = 16
    """Pixels of a patch along each axis; small ones for small pictures."""
    depth: PositiveInt = 12
    """Blocks."""
    num_registers: NonNegativeInt = 0
    """Tokens without a place that blocks may write to (Darcet et al. 2024)."""
    layer_scale: PositiveFloat | None = None
    """First value of a learned scale of each branch, such as 1e-5; null: none."""
    drop_path: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Probability that the last block's branches are left out in training; falls linearly to 0 at
    the first block. Draws belong to (seed, epoch, sample)."""
    weights: Line | None = None
    """State file (.pt, .pth, .safetensors) to begin with, such as those of DINO; positions and
    colour channels are fitted. Relative to data.root. null: random."""


class ResnetBackbone(Schema):
    """Residual network (He et al. 2016)."""

    kind: Literal["resnet"]
    """Its vector is the mean over the last map."""
    depth: Literal[18, 34, 50] = 50
    """Layers; vectors of 512, 512 or 2048 numbers."""
    stem: Literal["7x7", "3x3"] = "7x7"
    """7x7: first a quarter of the resolution, as published; 3x3: full, for pictures below 64."""
    weights: Line | None = None
    """State file (.pt, .pth, .safetensors) with torchvision's names; colour channels are fitted.
    Relative to data.root. null: random."""


class TransformersBackbone(Schema):
    """A vision model of the package `transformers`."""

    kind: Literal["transformers"]
    """Its vector is the pooled map of a convolutional model, else the class token."""
    model: Line
    """Class of the package that takes pixel values alone, such as ViTModel or ConvNextModel."""
    options: dict[str, Any] = {}
    """Of the model's configuration, such as hidden_size; num_channels and image_size, the longer
    side of the training's pictures, are set unless given."""
    weights: Line | None = None
    """Folder of save_pretrained, config.json and weights, which says all options. Relative to
    data.root. null: random."""

    @model_validator(mode="after")
    def _options_count(self) -> TransformersBackbone:
        if self.weights is not None and self.options:
            raise ValueError(
                f"options ({', '.join(self.options)}) have no effect beside weights, whose "
                "config.json says them; leave one of both out"
            )
        return self


class TimmBackbone(Schema):
    """A model of the package `timm`, where that is installed."""

    kind: Literal["timm"]
    """Its vector is timm's pooled features."""
    model: Line
    """Name, such as convnext_tiny."""
    options: dict[str, Any] = {}
    """Of timm.create_model beside in_chans and num_classes."""
    weights: Line | None = None
    """State file with timm's names; relative to data.root. null: random."""


Backbone = Annotated[
    VitBackbone | ResnetBackbone | TransformersBackbone | TimmBackbone,
    Field(discriminator="kind"),
]
"""Union of all backbones, discriminated by `kind`."""
