"""Critic that scores overlapping patches by plain convolutions: PatchGAN.

Isola et al. 2017, section 3.2.2: each score sees one patch of the field, so that the critic judges
texture; what is larger is the criterion's task.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from hpctrain.models.blocks import Layers, Norm, quiet
from hpctrain.models.extent import Extent, through
from hpctrain.models.srsgan import check_size


class PatchDiscriminator(nn.Module):
    """Valid 3^d convolutions that double their width, and scores by a 1^d convolution.

    Without strides it scores every patch of 2 layers + 1 cells; with strides every second
    convolution is one of kernel and stride 2, and patches grow by powers of two.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int = 32,
        layers: int = 3,
        dims: int = 3,
        norm: Norm = "none",
        strided: bool = False,
    ) -> None:
        """Build the network; parameters as in the job file's block `discriminator`.

        Args:
            in_channels: variables of the field and of the condition beside it.
            channels: width of the first layer, doubled with each.
            layers: convolutions of kernel 3.
            dims: spatial axes, 2 or 3.
            norm: behind all but the first convolution; a gradient penalty wants none.
            strided: halve the resolution behind each convolution.
        """
        super().__init__()
        self.dims = dims
        make = Layers(dims, False, norm)
        parts: list[nn.Module] = []
        width = in_channels
        for i in range(layers):
            before, width = width, channels << i
            tail = make.tail(width) if i else [nn.LeakyReLU()]
            down = [make.halve(width, width), nn.LeakyReLU()] if strided else []
            parts.append(quiet(nn.Sequential(make.conv(before, width), *tail, *down)))
        self.blocks = nn.Sequential(*parts)
        self.score = make.conv(width, 1, 1)
        self.smallest = 1
        for _ in range(layers):
            self.smallest = (2 * self.smallest if strided else self.smallest) + 2

    @property
    def output_bias(self) -> nn.Parameter:
        """Bias of the last layer; see `SrDiscriminator.output_bias`."""
        bias = self.score.bias
        assert isinstance(bias, nn.Parameter)
        return bias

    def checkpointed_blocks(self) -> Sequence[nn.Module]:
        """Blocks whose activations may be computed twice."""
        return list(self.blocks)

    def extent(self, x: Extent) -> Extent:
        """As `forward`."""
        return through(self.score, through(self.blocks, x))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, 1, ...) of the patches of x (B, in_channels, ...).

        Raises:
            ConfigError: x is too small for one patch.
        """
        check_size("discriminator", x, self.smallest, "enlarge crop or set fewer layers")
        scores: Tensor = self.score(self.blocks(x))
        return scores
