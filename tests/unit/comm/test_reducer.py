from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.comm import Communicator, GradientReducer, Handle, Ranks
from hpctrain.comm.base import Done, Op
from hpctrain.config.reduction import Reduction
from hpctrain.train.update import Update


class Recording(Communicator):
    """A second rank that always holds zeros, and a list of what was sent when."""

    kind = "recording"

    def __init__(self) -> None:
        super().__init__(Ranks(0, 2, 0, 2, "here"), torch.device("cpu"))
        self.sent: list[str] = []
        self.types: list[tuple[str, torch.dtype]] = []

    def allreduce_async(self, tensor: Tensor, name: str, op: Op = "mean") -> Handle:
        self.sent.append(name)
        self.types.append((op, tensor.dtype))
        return Done()  # a sum with zeros

    def broadcast(self, tensors: Iterable[Tensor]) -> None: ...

    def allgather_object(self, value: Any) -> list[Any]:
        return [value, value]

    def close(self) -> None: ...


SMALL = Reduction(bucket_mb=1e-6)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 4, 3), nn.Tanh(), nn.Conv3d(4, 1, 3))


def gradients(model: nn.Module, x: Tensor) -> list[Tensor]:
    return [
        g.clone() for g in torch.autograd.grad(model(x).square().mean(), list(model.parameters()))
    ]


def test_armed__gradients_are_the_mean_of_the_ranks() -> None:
    comm, model, x = Recording(), network(), torch.randn(2, 1, 6, 6, 6)
    expected = gradients(model, x)
    reducer = GradientReducer(comm, "g", list(model.parameters()), SMALL)
    for _ in range(2):  # the second time nothing of the first is left
        reducer.zero()
        with reducer.armed():
            (reducer.loss_factor * model(x).square().mean()).backward()
        for p, g in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(p.grad, g / 2)
    assert comm.sent == [f"g.gradient.{i}" for i in range(4)] * 2


def test_armed__only_the_last_micro_batch_is_sent() -> None:
    comm, model, x = Recording(), network(), torch.randn(2, 1, 6, 6, 6)
    reducer = GradientReducer(comm, "g", list(model.parameters()))
    reducer.zero()
    (reducer.loss_factor * model(x).square().mean()).backward()
    assert comm.sent == []
    with reducer.armed():
        (reducer.loss_factor * model(x).square().mean()).backward()
    assert comm.sent == ["g.gradient.0"]
    for p, g in zip(model.parameters(), gradients(model, x), strict=True):
        torch.testing.assert_close(p.grad, g)  # twice the gradient, half of it from each rank


def test_armed__parameters_without_a_gradient_are_sent_all_the_same() -> None:
    comm, model = Recording(), network()
    unused = nn.Parameter(torch.ones(3))
    reducer = GradientReducer(comm, "g", [*model.parameters(), unused], SMALL)
    reducer.zero()
    with reducer.armed():
        model(torch.randn(1, 1, 6, 6, 6)).mean().backward()
    assert comm.sent == [f"g.gradient.{i}" for i in range(5)]
    assert unused.grad is not None
    assert not unused.grad.any()


def test_armed__double_backward_sends_once() -> None:
    comm, model = Recording(), network()
    reducer = GradientReducer(comm, "g", list(model.parameters()), SMALL)
    x = torch.randn(2, 1, 6, 6, 6, requires_grad=True)
    reducer.zero()
    with reducer.armed():
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        slope.square().mean().backward()
    assert sorted(comm.sent) == [f"g.gradient.{i}" for i in range(4)]


def test_buckets__keep_channels_last_strides() -> None:
    model = network().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    reducer = GradientReducer(Recording(), "g", list(model.parameters()))
    with reducer.armed():
        model(torch.randn(1, 1, 6, 6, 6)).mean().backward()
    for p in model.parameters():
        assert p.grad is not None
        assert p.grad.stride() == p.stride()
        assert p.grad.shape == p.shape


def test_one_rank__sends_nothing_and_frees_gradients() -> None:
    comm, model = Recording(), network()
    comm.ranks = Ranks(0, 1, 0, 1, "here")
    reducer = GradientReducer(comm, "g", list(model.parameters()))
    with reducer.armed():
        model(torch.randn(1, 1, 6, 6, 6)).mean().backward()
    assert comm.sent == []
    reducer.zero()
    assert all(p.grad is None for p in model.parameters())


def test_armed__compressed_gradients_are_rounded_and_float32_again() -> None:
    comm, model, x = Recording(), network(), torch.randn(2, 1, 6, 6, 6)
    reducer = GradientReducer(
        comm, "g", list(model.parameters()), Reduction(compression="bfloat16")
    )
    reducer.zero()
    with reducer.armed():
        (reducer.loss_factor * model(x).square().mean()).backward()
    assert comm.types == [("sum", torch.bfloat16)]
    for p, g in zip(model.parameters(), gradients(model, x), strict=True):
        assert p.grad is not None
        torch.testing.assert_close(p.grad, (g / 2).bfloat16().float())


def test_armed__beyond_float16_is_infinite() -> None:
    comm, weight = Recording(), nn.Parameter(torch.ones(1))
    reducer = GradientReducer(comm, "g", [weight], Reduction(compression="float16"))
    reducer.zero()
    with reducer.armed():
        (weight * 1e6).sum().backward()
    assert weight.grad is not None
    assert weight.grad.isinf().all()


def test_adasum__weighs_each_tensor_and_scales_no_loss() -> None:
    comm, model = Recording(), network()
    reducer = GradientReducer(comm, "g", list(model.parameters()), Reduction(op="adasum"))
    assert reducer.loss_factor == 1
    reducer.zero()
    with reducer.armed():
        model(torch.randn(1, 1, 6, 6, 6)).mean().backward()
    assert comm.types == [("adasum", torch.float32)] * 4


def test_update__one_exchange_for_all_micro_batches_and_clips_what_is_joined() -> None:
    comm, model, x = Recording(), network(), torch.randn(4, 1, 6, 6, 6)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    update = Update(comm, {"model": optimizer}, accumulate=4, clip_grad_norm=1e-3)
    update._weights = [0.25] * 4

    def loss(part: Tensor) -> dict[str, Tensor]:
        return {"loss": model(part[None]).square().mean()}

    update("model", loss, list(x))
    assert comm.sent == ["model.gradient.0"]
    norm = torch.linalg.vector_norm(
        torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None])
    )
    torch.testing.assert_close(norm, torch.tensor(1e-3), rtol=1e-2, atol=0.0)
