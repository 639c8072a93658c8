from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
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


class Doubling(Recording):
    """A second rank with the same gradients, whose answers are there at once."""

    def __init__(self) -> None:
        super().__init__()
        self.pointers: list[int] = []

    def allreduce_async(self, tensor: Tensor, name: str, op: Op = "mean") -> Handle:
        self.pointers.append(tensor.data_ptr())
        tensor.mul_(2)
        return super().allreduce_async(tensor, name, op)


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


class Field(nn.Module):
    """A field of one's own is added: its gradient is a view of that of the layer before it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.fields = nn.ParameterList([torch.randn(4)])

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.fields[0][None]


class Pair(nn.Module):
    """Two parameters of unlike shapes whose gradients are views of one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(2, 6))
        self.second = nn.Parameter(torch.randn(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return x.sum() * (self.first.view(-1) + self.second.view(-1))


@pytest.mark.parametrize("kind", [Field, Pair])
@pytest.mark.parametrize("compression", ["none", "bfloat16"])
@pytest.mark.parametrize("smallest", [1, 9, 13])
def test_armed__memory_that_others_hold_is_not_sent(
    kind: type[nn.Module], compression: Any, smallest: int
) -> None:
    torch.manual_seed(0)
    model, x = kind(), torch.randn(1, 3)
    expected = gradients(model, x)
    settings = Reduction(bucket_mb=4 * smallest / 2**20, compression=compression)
    rtol = 1e-5 if compression == "none" else 1e-2
    reducer = GradientReducer(Doubling(), "g", list(model.parameters()), settings)
    reducer.zero()
    with reducer.armed():
        (reducer.loss_factor * model(x).square().mean()).backward()
    for p, g in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, g, rtol=rtol, atol=1e-6)


def test_armed__memory_shared_with_a_gradient_sent_later_is_not_sent() -> None:
    """The bucket that is first in order is complete last."""
    pair, last = Pair(), nn.Parameter(torch.ones(12))
    parameters = [pair.second, pair.first, last]
    x = torch.randn(1, 3)

    def loss() -> Tensor:
        return (pair(x * last[:3]) * last).square().mean()

    expected = torch.autograd.grad(loss(), parameters)
    reducer = GradientReducer(Doubling(), "g", parameters, SMALL)
    with reducer.armed():
        (reducer.loss_factor * loss()).backward()
    for p, g in zip(parameters, expected, strict=True):
        torch.testing.assert_close(p.grad, g)


@pytest.mark.parametrize("num_passes", [1, 2])
def test_armed__a_large_gradient_travels_where_it_is(num_passes: int) -> None:
    comm, layer, made = Doubling(), nn.Linear(64, 64, bias=False), []

    def note(p: nn.Parameter) -> None:
        assert p.grad is not None
        made.append(p.grad.data_ptr())

    layer.weight.register_post_accumulate_grad_hook(note)  # before that of the reducer
    reducer = GradientReducer(comm, "g", [layer.weight], SMALL)
    for _ in range(num_passes - 1):
        layer(torch.randn(2, 64)).sum().backward()
    with reducer.armed():
        layer(torch.randn(2, 64)).sum().backward()
    assert comm.pointers == made[-1:]


@pytest.mark.parametrize("bucket_mb", [1e-6, 25])
def test_armed__sparse_gradients_become_dense(bucket_mb: float) -> None:
    embedding, ids = nn.Embedding(5, 2, sparse=True), torch.tensor([1, 3, 3])
    reducer = GradientReducer(Doubling(), "g", [embedding.weight], Reduction(bucket_mb=bucket_mb))
    reducer.zero()
    with reducer.armed():
        (reducer.loss_factor * embedding(ids).sum()).backward()
    assert embedding.weight.grad is not None
    assert embedding.weight.grad.tolist() == [[0.0] * 2, [1.0] * 2, [0.0] * 2, [2.0] * 2, [0.0] * 2]


def test_one_rank__a_parameter_that_no_loss_reaches_gets_zeros_as_on_many() -> None:
    """An optimizer leaves out what has no gradient, and decays what has zeros."""
    comm, model, unused = Recording(), network(), nn.Parameter(torch.ones(3))
    comm.ranks = Ranks(0, 1, 0, 1, "here")
    reducer = GradientReducer(comm, "g", [*model.parameters(), unused])
    reducer.zero()
    with reducer.armed():
        model(torch.randn(1, 1, 6, 6, 6)).mean().backward()
    assert unused.grad is not None
    assert not unused.grad.any()


@pytest.mark.parametrize("num_ranks", [1, 2])
@pytest.mark.parametrize("limit", [1e-3, 1e6])
def test_update__gradients_that_share_memory_add_up_and_are_clipped_apart(
    num_ranks: int, limit: float
) -> None:
    comm, model = Doubling(), Pair()
    comm.ranks = Ranks(0, num_ranks, 0, num_ranks, "here")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    update = Update(comm, {"model": optimizer}, accumulate=3, clip_grad_norm=limit)
    update._weights = [1.0] * 3
    xs = [torch.randn(1, 3) for _ in range(3)]
    exact = [sum(parts) for parts in zip(*(gradients(model, x) for x in xs), strict=True)]
    update("model", lambda x: {"loss": model(x).square().mean()}, xs)
    norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in exact])).item()
    for p, g in zip(model.parameters(), exact, strict=True):
        torch.testing.assert_close(p.grad, g * min(1, limit / norm), rtol=1e-3, atol=1e-9)
