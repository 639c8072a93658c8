"""Training steps of the field networks against plain scripts in the published structure.

Equal arithmetic: the plain script computes the same network with the same weights, and its output
is compared before anything is timed. Steps (forward, backward, update) of both are interleaved, and
the fastest of each counts, in seconds of the CPU on one thread, which other programs disturb least.

    python -m benchmarks.field_networks [--rounds 8]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpctrain.models.noise import ZeroNoise
from hpctrain.models.styled import ModulatedConv3d, StyledGenerator
from hpctrain.models.unet import UNet, VNet

Step = Callable[[], Tensor]


class PlainUNet(nn.Module):
    """map2map's structure: the same layers, called one after the other as its script does."""

    def __init__(self, like: UNet) -> None:
        super().__init__()
        self.like = like

    def forward(self, x: Tensor) -> Tensor:
        """One pass; cuts are slices, residual skips are projected before they are cut."""
        m, skips, whole = self.like, [], x
        for encode, down in zip(m.encoder, m.down, strict=True):
            x = self._block(encode, x)
            skips.append(x)
            x = down(x)
        x = self._block(m.centre, x)
        for up, decode in zip(reversed(m.up), reversed(m.decoder), strict=True):
            x = up(x)
            x = self._block(decode, torch.cat((_cut(skips.pop(), x), x), 1))
        return x + _cut(whole, x) if m.bypass else x

    @staticmethod
    def _block(block: nn.Module, x: Tensor) -> Tensor:
        y: Tensor = block.convs(x)
        if hasattr(block, "skip"):
            y = block.act(y + _cut(block.skip(x), y))
        return y


def _cut(x: Tensor, like: Tensor) -> Tensor:
    cut = (x.shape[2] - like.shape[2]) // 2
    return x[:, :, cut:-cut, cut:-cut, cut:-cut]


def plain_styled(model: StyledGenerator, x: Tensor, style: Tensor) -> Tensor:
    """StyleGAN2's way: weights of their own for each sample, in one grouped convolution."""
    y = model.direct(x)
    x = model.activation(_grouped(model.head, x, style))
    for block in model.blocks:
        x = model.activation(_grouped(block.conv1, _up(x), style))
        x = model.activation(_grouped(block.conv2, x, style))
        y = _up(y)[..., 2:-2, 2:-2, 2:-2] + _grouped(block.project, x, style)
    return y


def _up(x: Tensor) -> Tensor:
    y = F.interpolate(x, scale_factor=2.0, mode="trilinear", align_corners=False)
    return y[..., 1:-1, 1:-1, 1:-1]


def _grouped(layer: ModulatedConv3d, x: Tensor, style: Tensor) -> Tensor:
    batch, channels = x.shape[:2]
    w = layer.conv.weight[None] * layer.style(style)[:, None, :, None, None, None]
    if layer.is_demodulated:
        w = w * torch.rsqrt(w.square().sum((2, 3, 4, 5), keepdim=True) + 1e-8)
    y = F.conv3d(x.reshape(1, -1, *x.shape[2:]), w.reshape(-1, *w.shape[2:]), groups=batch)
    return y.view(batch, -1, *y.shape[2:]) + layer.bias.view(1, -1, 1, 1, 1)


def cases() -> dict[str, tuple[nn.Module, Callable[[], Tensor], Callable[[], Tensor]]]:
    """Name to: parameters, our forward pass, the plain one."""
    made = {}
    field = torch.randn(1, 3, 56, 56, 56)
    for name, kind in (("unet", UNet), ("vnet", VNet)):
        model = kind(3, 3, 16)
        plain = PlainUNet(model)
        made[f"{name}, 16 channels, 56^3"] = (
            model,
            lambda m=model: m(field),
            lambda p=plain: p(field),
        )
    model = StyledGenerator(3, 3, 4, 1, 64, 32, 64, noise="none")
    small, style = torch.randn(4, 3, 12, 12, 12), torch.rand(4, 1)
    made["styled, 64 channels, 4 x 12^3, x4"] = (
        model,
        lambda: model(small, ZeroNoise(), style=style),
        lambda: plain_styled(model, small, style),
    )
    return made


def step(model: nn.Module, forward: Callable[[], Tensor]) -> float:
    """Seconds of one training step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    begin = time.process_time()
    forward().square().mean().backward()
    optimizer.step()
    seconds = time.process_time() - begin
    model.zero_grad()
    return seconds


def main() -> None:
    """Print a table of milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    rounds = parser.parse_args().rounds
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(
        f"{'step':36}{'plain ms':>10}{'ours ms':>10}{'plain / ours':>14}{'largest difference':>20}"
    )
    for name, (model, ours, plain) in cases().items():
        model.eval()  # so that running means do not move between the two
        with torch.no_grad():
            difference = float((ours() - plain()).abs().max())
        assert difference < 1e-3, name
        model.train()
        best = [float("inf")] * 2
        for _ in range(rounds):
            for i, forward in enumerate((plain, ours)):
                best[i] = min(best[i], step(model, forward))
        a, b = (1e3 * seconds for seconds in best)
        print(f"{name:36}{a:10.1f}{b:10.1f}{a / b:14.2f}{difference:20.1e}")


if __name__ == "__main__":
    main()
