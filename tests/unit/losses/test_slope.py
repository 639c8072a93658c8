"""Slopes of second order against PyTorch's own, and the primitives that they are made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils._python_dispatch import TorchDispatchMode

from hpctrain.losses.slope import SlopeMode

CRITICS: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "valid 3D": (
        (2, 3, 7, 6, 8),
        lambda: nn.Sequential(
            nn.Conv3d(3, 4, 3), nn.LeakyReLU(0.2, inplace=True), nn.Conv3d(4, 2, (3, 1, 2))
        ),
    ),
    "strided, padded, grouped, without bias": (
        (2, 4, 9, 8),
        lambda: nn.Sequential(
            nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False),
            nn.ReLU(),
            nn.Conv2d(6, 3, 3, padding=(2, 1), dilation=(2, 1)),
            nn.LeakyReLU(0.1),
            nn.Conv2d(3, 1, 3, padding="same"),
        ),
    ),
    "1D": ((3, 2, 11), lambda: nn.Sequential(nn.Conv1d(2, 3, 4), nn.ReLU(inplace=True))),
    "activations that bend, and means of the batch": (
        (3, 2, 8, 8),
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
            nn.Conv2d(4, 1, 2), nn.Softplus(),
        ),
    ),
    "a view changed in place, other slopes": (
        (2, 2, 6, 6),
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3), Halves(), nn.LeakyReLU(1.5), nn.Conv2d(2, 1, 2), nn.LeakyReLU(-0.5),
        ),
    ),
    "weights made of the input": ((2, 2, 6, 6), lambda: OwnKernels(makes_bias=False)),
    "a bias made of the input": ((2, 2, 6, 6), lambda: OwnKernels(makes_bias=True)),
    "the input as a kernel": (
        (2, 2, 6, 6),
        lambda: nn.Sequential(Correlated(), nn.Conv2d(2, 4, 3), nn.LeakyReLU(0.2), Correlated()),
    ),
    "its own slope": ((2, 2, 8, 8), lambda: Uphill()),
    "results changed in place": (
        (2, 2, 6, 6),
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.LeakyReLU(0.2), Doubled(), nn.Conv2d(4, 4, 1),
            nn.LeakyReLU(0.0), Doubled(), nn.Conv2d(4, 1, 3), nn.Tanh(),
        ),
    ),
    "numbers of numpy": ((2, 2, 8, 8), lambda: nn.Sequential(Strided(), nn.Tanh(), Strided())),
    "complex numbers": ((2, 2, 6, 6), lambda: nn.Sequential(nn.Conv2d(2, 2, 1), Waves())),
}  # fmt: skip


class Halves(nn.Module):
    """Rectifies the half of the channels that it hands on."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x[:, ::2], 0.3, inplace=True)


class OwnKernels(nn.Module):
    """A convolution whose weights or biases follow from each sample."""

    def __init__(self, *, makes_bias: bool) -> None:
        super().__init__()
        self.conv, self.makes_bias = nn.Conv2d(2, 3, 3), makes_bias
        self.makes = nn.Linear(3, 2 if makes_bias else 2 * 3 * 4)

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.conv(x), 0.2)
        made = self.makes(h.mean((2, 3)))
        weight = self.conv.weight[:2, 0, :2, :2].expand(len(x), 3, 2, 2, 2).transpose(1, 2)
        weight = weight.flatten(0, 1) if self.makes_bias else made.reshape(-1, 3, 2, 2)
        bias = made.flatten() if self.makes_bias else None
        y = F.conv2d(h.reshape(1, -1, *h.shape[2:]), weight, bias, groups=len(x))
        return y.reshape(len(x), -1).tanh()


class Correlated(nn.Module):
    """The field's correlation with itself."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, x, padding=2)


class Uphill(nn.Module):
    """Looks at the slope of a smaller network."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 1, 3))

    def forward(self, x: Tensor) -> Tensor:
        height = self.inner(x.square()).square().sum()
        return torch.autograd.grad(height, x, create_graph=True)[0].square()


class Strided(nn.Module):
    """Computes its geometry by numpy."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 1, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        one, two = np.arange(1, 3)
        return F.conv2d(x, self.weight, None, two, one, (one, two), two)


class Doubled(nn.Module):
    """Changes what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2).add_(1)


class Waves(nn.Module):
    """Power of filtered waves."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2, 3, 3, dtype=torch.cdouble))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(torch.fft.fft2(x), self.weight).abs().square()


def gradients(critic: nn.Module, x: Tensor, mode: SlopeMode | None) -> list[Tensor]:
    """Value, slope and gradients of a loss with the scores and a penalty of the slope."""
    x = x.clone().requires_grad_()
    if mode is None:
        scores = critic(x)
        (slope,) = torch.autograd.grad(scores.square().sum(), x, create_graph=True)
    else:
        with mode:
            scores = critic(x)
        slope = mode.along(x, scores.square().sum())
    loss = slope.flatten(1).norm(dim=1).sub(1).square().mean() + scores.mean()
    found = torch.autograd.grad(loss, [x, *critic.parameters()], allow_unused=True)
    return [scores, slope, *(torch.zeros(()) if g is None else g for g in found)]


@pytest.mark.parametrize("name", CRITICS)
def test_along__equals_ordinary_autograd(name: str) -> None:
    torch.manual_seed(0)
    shape, make = CRITICS[name]
    critic, x = make().double(), torch.randn(shape, dtype=torch.double)
    expected = gradients(critic, x, None)
    assert sum(float(g.detach().abs().sum()) > 1e-3 for g in expected) >= 5
    for a, b in zip(gradients(critic, x, SlopeMode()), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_along__under_autocast(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv3d(2, 16, 3), nn.LeakyReLU(0.2, True), nn.Conv3d(16, 8, 3))
    critic = critic.to(memory_format=layout)  # type: ignore[call-overload]
    x = torch.randn(1, 2, 8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found, plain = (gradients(critic, x, mode) for mode in (SlopeMode(), None))
    assert found[0].stride() == plain[0].stride()
    for a, b, exact in zip(found, plain, gradients(critic, x, None), strict=True):
        assert a.dtype == b.dtype
        error = (a.float() - exact).norm()
        assert error <= 1.5 * (b.float() - exact).norm() + 1e-6
        assert error < 0.1 * exact.norm() + 1e-6


class Seen(TorchDispatchMode):
    """Sizes of all kernels, and the number of passes back through convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[int] = []
        self.passes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func is torch.ops.aten.convolution.default:
            self.kernels.append(max(args[1].shape[2:]))
        self.passes += func is torch.ops.aten.convolution_backward.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("norm", [nn.Identity(), spectral_norm])
def test_along__makes_no_kernel_as_large_as_the_field_and_no_empty_pass(
    norm: Callable[[nn.Module], nn.Module],
) -> None:
    layers = [norm(nn.Conv3d(a, b, 3)) for a, b in ((1, 2), (2, 1))]
    critic = nn.Sequential(layers[0], nn.LeakyReLU(0.2, True), layers[1])
    x = torch.randn(1, 1, 12, 12, 12, requires_grad=True)
    seen = []
    for mode in (SlopeMode(), None):
        with Seen() as one:
            if mode:
                with mode:
                    scores = critic(x)
                slope = mode.along(x, scores.sum())
            else:
                (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
            slope.square().sum().backward()
        seen.append(one)
    assert max(seen[0].kernels) == 3
    assert seen[0].passes == 4  # each layer: along its input, then along its weights
    assert max(seen[1].kernels) == 10  # else this test would look for nothing


def test_mode__is_off_afterwards() -> None:
    layer, x = nn.Conv3d(1, 1, 3), torch.randn(1, 1, 4, 4, 4)
    mode = SlopeMode()
    with pytest.raises(RuntimeError, match="channels"), mode:
        layer(torch.randn(1, 2, 4, 4, 4))
    assert "_Convolution" not in type(layer(x).grad_fn).__name__
    with pytest.raises(RuntimeError, match="does not require grad"):
        mode.along(x, layer(x).sum())
    assert not mode.is_taken
