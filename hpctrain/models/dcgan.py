"""DCGAN in two and three dimensions: fields from noise, and a judge of fields.

Radford et al. 2016 (arXiv 1511.06434) in the form of CosmoGAN and ExaGAN (Mustafa et al. 2019,
doi 10.1186/s40668-019-0029-9): four layers of kernel 5 and stride 2, BatchNorm behind all but the
generator's last, ReLU and LeakyReLU(0.2), weights drawn with a deviation of 0.02.

Layers before a BatchNorm have no bias, which it would take away again: the gradient of one is
rounding noise, of which Adam makes steps of full size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hpctrain.errors import ConfigError
from hpctrain.models.resample import full_precision

LEAK = 0.2
DEVIATION = 0.02

_VOLUMES = 5
"""Dimensions of a batch of volumes."""
_CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class DcganGenerator(nn.Module):
    """Noise to fields: a dense layer, then transposed convolutions, each doubling the resolution.

    The last layer and the tanh compute in the precision of the weights, also under autocast.

    Args:
        noise_size: numbers of noise.
        out_channels: of the field.
        size: (D, H, W) cells of the field; D = 1: two-dimensional layers.
        channels: widths from the finest layer to the coarsest, as the discriminator has them.
        kernel: of the convolutions; odd.
        style_size: numbers that condition it beside the noise.
        output: 'tanh' ends in (-1, 1), 'linear' anywhere.
    """

    has_noise = False

    def __init__(
        self,
        noise_size: int,
        out_channels: int,
        size: Sequence[int],
        channels: Sequence[int] = (64, 128, 256, 512),
        *,
        kernel: int = 5,
        style_size: int = 0,
        output: str = "tanh",
    ) -> None:
        super().__init__()
        coarse = coarse_size(size, len(channels))
        dims = len(coarse)
        widest = channels[-1]
        self.noise_size, self.style_size = noise_size, style_size
        self._start = (widest, *coarse)
        units = widest * math.prod(coarse)
        self.dense = nn.Linear(noise_size + style_size, units, bias=False)
        self.dense_norm = nn.BatchNorm1d(units)
        layers = []
        widths = [*reversed(channels), out_channels]
        for i, (inner, outer) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            is_last = i == len(channels) - 1
            # sizes double exactly: (n - 1) 2 - 2 (k // 2) + k + 1 = 2 n for odd k
            sizes = kernel, 2, kernel // 2, 1
            layer: list[nn.Module] = [_TRANSPOSED[dims](inner, outer, *sizes, bias=is_last)]
            if not is_last:
                layer += [_NORMS[dims](outer), nn.ReLU(inplace=True)]
            layers.append(nn.Sequential(*layer))
        self.layers = nn.ModuleList(layers)
        self.output = nn.Tanh() if output == "tanh" else nn.Identity()
        self.apply(draw_weights)

    def forward(self, noise: Tensor, style: Tensor | None = None) -> Tensor:
        """Make fields.

        Args:
            noise: (B, noise_size), standard normal.
            style: (B, style_size), of order 1; None without a condition.

        Returns:
            (B, C, D, H, W).
        """
        x = noise if style is None else torch.cat((noise, style.to(noise.dtype)), 1)
        x = torch.relu(self.dense_norm(self.dense(x))).view(-1, *self._start)
        *inner, last = self.layers
        for layer in inner:
            x = layer(x)
        # half precisions have too few numbers near the ends of tanh, where rare high values lie
        with full_precision(x):
            y: Tensor = self.output(last(x.to(self.dense.weight.dtype)))
        return y if y.ndim == _VOLUMES else y.unsqueeze(2)


class DcganDiscriminator(nn.Module):
    """Fields to logits: convolutions, each halving the resolution, then a dense layer.

    With a style the logit gets the product of style and features beside it (Miyato and Koyama
    2018, arXiv 1802.05637, equation 3).

    Args:
        in_channels: of the field.
        size: (D, H, W) cells of the field; D = 1: two-dimensional layers.
        channels: widths from the first layer to the last.
        kernel: of the convolutions; odd.
        style_size: numbers that condition it.
        norm: BatchNorm behind each convolution; a gradient penalty wants none.
    """

    def __init__(
        self,
        in_channels: int,
        size: Sequence[int],
        channels: Sequence[int] = (64, 128, 256, 512),
        *,
        kernel: int = 5,
        style_size: int = 0,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        coarse = coarse_size(size, len(channels))
        dims = len(coarse)
        self.style_size, self._is_planar = style_size, dims == 2
        layers = []
        for inner, outer in zip((in_channels, *channels), channels, strict=False):
            is_normed = norm == "batch"
            sizes = kernel, 2, kernel // 2
            convolution = _CONVOLUTIONS[dims](inner, outer, *sizes, bias=not is_normed)
            norms = [_NORMS[dims](outer)] if is_normed else []
            layers.append(nn.Sequential(convolution, *norms, nn.LeakyReLU(LEAK, inplace=True)))
        self.layers = nn.ModuleList(layers)
        features = channels[-1] * math.prod(coarse)
        self.dense = nn.Linear(features, 1)
        self.projection = nn.Linear(style_size, features, bias=False) if style_size else None
        self.apply(draw_weights)

    @property
    def output_bias(self) -> nn.Parameter:
        """Bias of the logit."""
        return self.dense.bias

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Judge fields (B, C, D, H, W), given styles (B, style_size); returns logits (B, 1)."""
        x = x.squeeze(2) if self._is_planar else x
        for layer in self.layers:
            x = layer(x)
        x = x.flatten(1)
        logits: Tensor = self.dense(x)
        if self.projection is not None and style is not None:
            direction = self.projection(style.to(x.dtype))
            logits = logits + (x * direction).sum(1, keepdim=True)
        return logits


def coarse_size(size: Sequence[int], num_layers: int) -> tuple[int, ...]:
    """Cells behind all layers, along two or three axes.

    Args:
        size: (D, H, W) cells; D = 1: a plane.
        num_layers: each halves them.

    Raises:
        ConfigError: a size that cannot be halved so often.
    """
    factor, cells = 2**num_layers, tuple(size[1:] if size[0] == 1 else size)
    if any(n % factor for n in cells):
        found = " x ".join(map(str, cells))
        raise ConfigError(
            f"train.generator: {num_layers} layers halve a field {num_layers} times, and data.crop "
            f"has {found} cells; give a multiple of {factor} along each axis, or another number of "
            "channels (one a layer)"
        )
    return tuple(n // factor for n in cells)


def draw_weights(module: nn.Module) -> None:
    """First weights: normal with a deviation of 0.02, cut at two deviations; biases 0."""
    layers = (nn.Linear, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    if isinstance(module, layers):
        nn.init.trunc_normal_(module.weight, std=DEVIATION, a=-2 * DEVIATION, b=2 * DEVIATION)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
