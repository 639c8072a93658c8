"""Slopes of critics that are differentiated once more, without the waste of PyTorch's own way.

PyTorch differentiates a convolution's gradient by a convolution whose kernel is as large as the
field, for which no library has a fast way, above all in half precision; and it sends zeros back
through the whole forward pass, because the second derivative of a ReLU is a tensor of zeros. While
`SlopeMode` is on, `conv1d` to `conv3d`, `relu` and `leaky_relu` leave another record: the same
forward values and the same derivatives, from the primitives that training uses anyway.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from operator import index
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge
from torch.overrides import TorchFunctionMode

_aten = torch.ops.aten
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


class SlopeMode(TorchFunctionMode):
    """Context for the forward pass of a critic whose slope along its input is wanted.

    The slope must be taken by `along`, which leaves weights out; gradients of a loss made of it are
    then those of ordinary autograd.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_taken = False
        """True while the slope is taken: gradients along most weights are then of no use."""
        self._along: Node | None = None
        self._apart: set[Node] = set()

    def __enter__(self) -> SlopeMode:
        super().__enter__()  # type: ignore[no-untyped-call]
        _active.modes = [*active_modes(), self]
        return self

    def __exit__(self, *error: object) -> None:
        _active.modes = active_modes()[:-1]
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the stand-in of a function, if it has one for these arguments."""
        stand_in = _STAND_INS.get(func)
        found = stand_in(self, *args, **(kwargs or {})) if stand_in else None
        return func(*args, **(kwargs or {})) if found is None else found

    def along(self, x: Tensor, total: Tensor) -> Tensor:
        """Gradient of a scalar with respect to x, which can be differentiated once more."""
        self.is_taken, self._along = True, get_gradient_edge(x).node
        try:
            (gradient,) = torch.autograd.grad(total, x, create_graph=True)
        finally:
            self.is_taken, self._along = False, None
            self._apart.clear()
        return gradient

    def is_wanted(self, *records: Node | None) -> bool:
        """Whether the slope that is taken goes through one of these, too.

        It does where a network makes the weights of another out of x, and does not where weights
        are made of parameters, as by spectral normalisation.
        """
        left, seen = list(records), set[Node]()
        while left:
            record = left.pop()
            if record is self._along:
                return True
            if record is None or record in seen or record in self._apart:
                continue
            seen.add(record)
            left.extend(before for before, _ in record.next_functions)
        self._apart |= seen
        return False


_active = threading.local()


def active_modes() -> list[SlopeMode]:
    """Modes of this thread, for what computes a part of the forward pass again, later."""
    return getattr(_active, "modes", [])


class _Convolution(torch.autograd.Function):
    """A convolution whose gradient along x is `_InputGradient`."""

    @staticmethod
    def forward(ctx: Any, mode: SlopeMode, geometry: Any, x: Tensor, w: Tensor, b: Any) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, w)
        ctx.mode, ctx.geometry = mode, geometry
        y: Tensor = _aten.convolution(x, w, b, *geometry)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> Any:
        if g is None:
            return None, None, None, None, None
        x, w = ctx.saved_tensors
        if ctx.mode.is_taken and not ctx.mode.is_wanted(*(n for n, _ in ctx.next_functions[1:])):
            along_x = _InputGradient.apply(ctx.geometry, x.detach(), g, w)  # type: ignore[no-untyped-call]
            return None, None, along_x, None, None
        # Activations that bend send their second derivative this way, and weights made of x.
        wanted = list(ctx.needs_input_grad[2:])
        return None, None, *_aten.convolution_backward(g, x, w, [len(w)], *ctx.geometry, wanted)


class _InputGradient(torch.autograd.Function):
    """The gradient of a convolution along its input: linear in g and in w."""

    @staticmethod
    def forward(ctx: Any, geometry: Any, x: Tensor, g: Tensor, w: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(g, w)
        ctx.geometry = geometry
        wanted = [True, False, False]
        gradient: Tensor = _aten.convolution_backward(g, x, w, None, *geometry, wanted)[0]
        return gradient

    @staticmethod
    def backward(ctx: Any, v: Tensor | None) -> Any:
        if v is None:
            return None, None, None, None
        g, w = ctx.saved_tensors
        v = _laid_out_as(g, v)
        _, _, needs_g, needs_w = ctx.needs_input_grad
        along_g = _aten.convolution(v, w, None, *ctx.geometry) if needs_g else None
        wanted = [False, needs_w, False]
        along_w = _aten.convolution_backward(g, v, w, None, *ctx.geometry, wanted)[1]
        return None, None, along_g, along_w


class _Rectifier(torch.autograd.Function):
    """max(x, slope x), for slopes in [0, 1); None: ReLU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float | None, inplace: bool) -> Tensor:
        ctx.set_materialize_grads(False)
        if inplace:
            ctx.mark_dirty(x)
        y = F.relu(x, inplace) if slope is None else F.leaky_relu(x, slope, inplace)
        # What PyTorch keeps, so that critics may change in place what it lets them change; x and y
        # are positive in the same places.
        ctx.save_for_backward(y if inplace or slope is None else x)
        ctx.slope = slope or 0.0
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor | None) -> Any:
        if g is None:
            return None, None, None
        (kept,) = ctx.saved_tensors
        along_x = _RectifierGradient.apply(g, kept.detach(), ctx.slope)  # type: ignore[no-untyped-call]
        return along_x, None, None


class _RectifierGradient(torch.autograd.Function):
    """Linear in g; the derivative along what was kept is zero, and so is not sent."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, kept: Tensor, slope: float) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(kept)
        ctx.slope = slope
        return _rectified(g, kept, slope)

    @staticmethod
    def backward(ctx: Any, v: Tensor | None) -> Any:
        if v is None:
            return None, None, None
        (kept,) = ctx.saved_tensors
        return _RectifierGradient.apply(v, kept, ctx.slope), None, None  # type: ignore[no-untyped-call]


def _rectified(g: Tensor, kept: Tensor, slope: float) -> Tensor:
    """The gradient g where what was kept is positive, else slope times g."""
    if not slope:
        return _aten.threshold_backward(g, kept, 0)  # type: ignore[no-any-return]
    return _aten.leaky_relu_backward(g, kept, slope, True)  # type: ignore[no-any-return]


def _laid_out_as(like: Tensor, x: Tensor) -> Tensor:
    """The tensor x with channels last, if `like` has them: a slope comes in PyTorch's own layout.

    A kernel of one cell would hand that on to all layers behind it.
    """
    layout = _CHANNELS_LAST.get(x.ndim)
    if layout is None or like.is_contiguous() or not like.is_contiguous(memory_format=layout):
        return x
    return x.contiguous(memory_format=layout)


def _convolve(
    mode: SlopeMode,
    input: Tensor,  # noqa: A002 - PyTorch's name, by which it may be given
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    num_axes = weight.ndim - 2
    if isinstance(padding, str) or input.ndim != weight.ndim:
        return None
    if input.is_complex() or weight.is_complex():  # aten.convolution has no kernels for them
        return None
    each = (_each(n, num_axes) for n in (stride, padding, dilation))
    geometry = (*each, False, [0] * num_axes, index(groups))
    x, w, b = (_as_autocast(t) for t in (input, weight, bias))
    y: Tensor = _Convolution.apply(mode, geometry, x, w, b)  # type: ignore[no-untyped-call]
    return y


def _each(given: Any, num_axes: int) -> list[int]:
    """One number for each axis; numpy's are none for PyTorch's dispatcher."""
    try:
        return [index(given)] * num_axes
    except TypeError:
        return [index(n) for n in given]


def _as_autocast(x: Tensor | None) -> Any:
    """The tensor in the type that autocast would give a convolution."""
    if x is None or x.is_meta or not torch.is_autocast_enabled(x.device.type):
        return x
    return x if x.dtype == torch.float64 else x.to(torch.get_autocast_dtype(x.device.type))


def _leaky_relu(
    mode: SlopeMode,
    input: Tensor,  # noqa: A002 - as above
    negative_slope: float = 0.01,
    inplace: bool = False,
) -> Tensor | None:
    # The sign of y tells x's for such slopes only.
    return _rectify(input, negative_slope, inplace) if 0 <= negative_slope < 1 else None


def _relu(mode: SlopeMode, input: Tensor, inplace: bool = False) -> Tensor | None:  # noqa: A002
    return _rectify(input, None, inplace)


def _rectify(x: Tensor, slope: float | None, inplace: bool) -> Tensor | None:
    if inplace and x._is_view():
        return None  # its base's record would have to change
    y: Tensor = _Rectifier.apply(x, slope, inplace)  # type: ignore[no-untyped-call]
    return y


_STAND_INS: dict[Any, Callable[..., Tensor | None]] = {
    torch.conv1d: _convolve,
    torch.conv2d: _convolve,
    torch.conv3d: _convolve,
    torch.relu: _relu,
    F.relu: _relu,
    F.leaky_relu: _leaky_relu,
}
