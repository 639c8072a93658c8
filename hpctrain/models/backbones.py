"""Backbones by name: own ones, and those of the packages `transformers` and `timm`."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.config.backbone import (
    Backbone,
    ResnetBackbone,
    TimmBackbone,
    TransformersBackbone,
    VitBackbone,
)
from hpctrain.config.words import nearest
from hpctrain.errors import ConfigError
from hpctrain.models.pretrained import load_pretrained
from hpctrain.models.resnet import ResNet
from hpctrain.models.vit import SIZES, VisionTransformer

_MAP = 4
"""Dimensions of a batch of maps."""


def make_backbone(
    settings: Backbone,
    channels: int,
    size: Sequence[int],
    weights: Path | None = None,
    configuration: Mapping[str, Any] | None = None,
) -> nn.Module:
    """The network of a block, in float32 on torch's current device.

    All have `dim`, the numbers of a vector, and take pictures (B, C, H, W) to (B, dim).

    Args:
        settings: the block.
        channels: of a picture.
        size: (H, W) of a picture in training.
        weights: where the block's `weights` are; None: random ones.
        configuration: what `configuration_of` gave; None: of the weights, or the block's options.

    Raises:
        ConfigError: a package or model that is missing, options that it does not take, or weights
            of another network.
    """
    if isinstance(settings, TransformersBackbone):
        return TransformersNetwork(settings, channels, size, weights, configuration)
    if isinstance(settings, TimmBackbone):
        network: nn.Module = TimmNetwork(settings, channels)
    elif isinstance(settings, ResnetBackbone):
        network = ResNet(settings.depth, channels, settings.stem)
    else:
        network = _vit(settings, channels, size)
    if weights is not None:
        inner = network.model if isinstance(network, TimmNetwork) else network
        load_pretrained(inner, weights)
    return network


def configuration_of(settings: Backbone, weights: Path) -> dict[str, Any] | None:
    """All options of a network that says them beside its weights; None for other kinds.

    Args:
        settings: the block.
        weights: where its `weights` are, which are not read.

    Raises:
        ConfigError: it cannot be read.
    """
    if not isinstance(settings, TransformersBackbone):
        return None
    kind = _model_class(settings)
    try:
        return _page(kind.config_class.from_pretrained(weights, local_files_only=True))
    except Exception as e:  # the package's own checks raise classes of their own
        raise ConfigError(
            f"backbone.weights: {weights}: {settings.model} of transformers refuses its "
            f"config.json: {_first_line(e)}"
        ) from e


def _vit(settings: VitBackbone, channels: int, size: Sequence[int]) -> VisionTransformer:
    width = SIZES[settings.size]
    return VisionTransformer(
        size,
        channels,
        settings.patch_size,
        width.dim,
        width.heads,
        settings.depth,
        num_registers=settings.num_registers,
        layer_scale=settings.layer_scale,
        drop_path=settings.drop_path,
    )


class TransformersNetwork(nn.Module):
    """A vision model of `transformers`, as a backbone.

    Args:
        settings: the block.
        channels: of a picture.
        size: (H, W) of a picture in training.
        weights: folder of save_pretrained; None: random weights.
        configuration: see `make_backbone`.

    Raises:
        ConfigError: see `make_backbone`.
    """

    def __init__(
        self,
        settings: TransformersBackbone,
        channels: int,
        size: Sequence[int],
        weights: Path | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        kind = _model_class(settings)
        _check_options(settings.options, kind.config_class())
        # a square: those of the package that interpolate positions take them for one
        own = {"num_channels": channels, "image_size": max(size)}
        try:
            if weights is not None:
                self.model = kind.from_pretrained(weights, local_files_only=True).float()
            elif configuration is not None:
                self.model = kind(kind.config_class.from_dict(dict(configuration)))
            else:
                self.model = kind(kind.config_class(**{**own, **settings.options}))
        except Exception as e:  # the package's own checks raise classes of their own
            where = f"weights: {weights}" if weights is not None else "options"
            raise ConfigError(
                f"backbone.{where}: {settings.model} of transformers refuses: {_first_line(e)}"
            ) from e
        found = int(getattr(self.model.config, "num_channels", channels))
        if found != channels:
            raise ConfigError(
                f"backbone.weights: {weights or settings.weights}: takes {found} channels, and the "
                f"pictures have {channels}; choose channels that it takes, or weights: null"
            )
        takes = inspect.signature(self.model.forward).parameters
        # positions of other sizes: some models interpolate when asked to, others always
        self._options = {k: True for k in ("interpolate_pos_encoding",) if k in takes}
        with torch.no_grad():
            self.eval()
            self.dim = int(self(torch.zeros(1, channels, *size)).shape[1])
            self.train()

    @property
    def configuration(self) -> dict[str, Any]:
        """All options, from which `make_backbone` makes the same network again."""
        return _page(self.model.config)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K)."""
        found = self.model(pixel_values=x, **self._options)
        last = found.last_hidden_state
        if last.ndim == _MAP:
            return last.mean((2, 3))  # type: ignore[no-any-return]
        return last[:, 0]  # type: ignore[no-any-return]


class TimmNetwork(nn.Module):
    """A model of `timm`, as a backbone.

    Args:
        settings: the block.
        channels: of a picture.

    Raises:
        ConfigError: see `make_backbone`.
    """

    def __init__(self, settings: TimmBackbone, channels: int) -> None:
        super().__init__()
        package = _package("timm")
        options: dict[str, Any] = {**settings.options, "in_chans": channels, "num_classes": 0}
        try:
            self.model = package.create_model(settings.model, pretrained=False, **options)
        except (TypeError, ValueError, RuntimeError) as e:
            raise ConfigError(
                f"backbone: timm refuses {settings.model!r}: {_first_line(e)}; its models are "
                "listed by python -c 'import timm; print(timm.list_models())'"
            ) from e
        self.dim = int(self.model.num_features)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K)."""
        return self.model(x)  # type: ignore[no-any-return]


def _model_class(settings: TransformersBackbone) -> Any:
    kind = getattr(_package("transformers"), settings.model, None)
    if not (isinstance(kind, type) and hasattr(kind, "config_class")):
        raise ConfigError(
            f"backbone.model: transformers has no model {settings.model!r}; give a class such "
            "as ViTModel, Dinov2Model or ConvNextModel"
        )
    return kind


def _page(configuration: Any) -> dict[str, Any]:
    """A configuration of transformers as plain values, which a checkpoint may hold."""
    page: dict[str, Any] = json.loads(configuration.to_json_string(use_diff=False))
    return page


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise ConfigError(
            f"backbone.kind: {name} needs the package {name}, which cannot be imported ({e}); "
            f"install it with: pip install {name}"
        ) from e


def _check_options(options: Mapping[str, Any], known: Any) -> None:
    """Refuse what the configuration would keep without any effect."""
    for name in options:
        if not hasattr(known, name):
            names = sorted(known.to_dict())
            raise ConfigError(
                f"backbone.options: {type(known).__name__} of transformers has no {name!r}"
                f"{nearest(name, names)}; it has {', '.join(names)}"
            )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
