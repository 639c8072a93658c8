"""Two threads as two ranks, against BatchNorm over the whole batch."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpctrain.comm import Communicator, Handle, Ranks
from hpctrain.comm.base import Done, Op
from hpctrain.comm.batch_norm import SyncBatchNorm, synchronise


class Threads(Communicator):
    """Ranks that are threads of this process and meet at a barrier."""

    kind = "threads"

    def __init__(self, rank: int, meeting: threading.Barrier, table: list[Any]) -> None:
        super().__init__(Ranks(rank, len(table), rank, len(table), "here"), torch.device("cpu"))
        self.meeting, self.table = meeting, table

    def allreduce_async(self, tensor: Tensor, name: str, op: Op = "mean") -> Handle:
        assert op == "sum"
        self.table[self.rank] = (name, tensor.clone())
        self.meeting.wait(30)
        assert len({name for name, _ in self.table}) == 1
        total = sum(value for _, value in self.table)
        self.meeting.wait(30)
        tensor.copy_(total)
        return Done()

    def broadcast(self, tensors: Iterable[Tensor]) -> None: ...


def on_two_ranks(run: Callable[[Communicator], Any]) -> list[Any]:
    meeting, table, results = threading.Barrier(2), [None, None], [None, None]

    def body(rank: int) -> None:
        try:
            results[rank] = run(Threads(rank, meeting, table))
        except BaseException:
            meeting.abort()
            raise

    threads = [threading.Thread(target=body, args=(r,)) for r in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in results
    return results


def network(dims: int) -> nn.Module:
    torch.manual_seed(0)
    norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dims - 1]
    layer = norm(3, momentum=None if dims == 3 else 0.2).double()
    nn.init.uniform_(layer.weight)
    nn.init.uniform_(layer.bias)
    return nn.Sequential(layer, nn.Tanh(), norm(3, affine=False).double())


@pytest.fixture(autouse=True)
def _names() -> Iterator[None]:
    yield
    SyncBatchNorm.is_counted = True


@pytest.mark.parametrize(("dims", "shares"), [(1, (3, 3)), (2, (4, 2)), (3, (1, 5))])
def test_sync_batch_norm__equals_batch_norm_over_the_whole_batch(dims, shares):
    whole = network(dims)
    start = copy.deepcopy(whole)
    x = torch.randn(sum(shares), 3, *(4,) * dims, dtype=torch.float64) * 3 + 50
    target = torch.randn_like(x)

    def learn(model: nn.Module, part: slice) -> tuple[Tensor, ...]:
        own = x[part].clone().requires_grad_()
        for _ in range(2):
            model.zero_grad()
            own.grad = None
            ((model(own) - target[part]) ** 2).sum().backward()
        gradients = [p.grad for p in model.parameters()]
        return (own.grad, model.state_dict(), gradients)

    expected = learn(whole, slice(None))

    def on_rank(comm: Communicator) -> tuple[Tensor, ...]:
        model = renamed(synchronise(copy.deepcopy(start), comm))
        part = (slice(0, shares[0]), slice(shares[0], None))[comm.rank]
        return learn(model, part)

    results = on_two_ranks(on_rank)
    close = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(torch.cat([r[0] for r in results]), expected[0], **close)
    for _, state, _ in results:
        torch.testing.assert_close(state, expected[1], **close)
    sums = [a + b for a, b in zip(results[0][2], results[1][2], strict=True)]
    torch.testing.assert_close(sums, expected[2], **close)


def renamed(model: nn.Module) -> nn.Module:
    """Layers are numbered as they are made, which two threads of one process do together."""
    for i, layer in enumerate(m for m in model.modules() if isinstance(m, SyncBatchNorm)):
        layer._name = f"layer.{i}"
    return model


def test_sync_batch_norm__second_derivatives():
    """As a gradient penalty takes them; torch's own SyncBatchNorm has none."""
    start, x = nn.BatchNorm1d(3).double(), torch.randn(4, 3, dtype=torch.float64)

    def penalty(model: nn.Module, own: Tensor) -> Tensor:
        own = own.clone().requires_grad_()
        (slope,) = torch.autograd.grad(model(own).pow(3).sum(), own, create_graph=True)
        slope.square().sum().backward()
        return own.grad

    expected = penalty(copy.deepcopy(start), x)
    parts = on_two_ranks(
        lambda comm: penalty(
            renamed(synchronise(copy.deepcopy(start), comm)), x[2 * comm.rank : 2 * comm.rank + 2]
        )
    )
    torch.testing.assert_close(torch.cat(parts), expected)


def test_sync_batch_norm__evaluates_alone_and_is_copied_with_its_ranks():
    def on_rank(comm: Communicator) -> Tensor:
        layer = synchronise(nn.BatchNorm2d(2), comm).eval()
        twin = copy.deepcopy(layer)
        assert twin.comm is comm
        assert set(twin.state_dict()) == set(nn.BatchNorm2d(2).state_dict())
        return twin(torch.ones(1 + comm.rank, 2, 1, 1))

    assert [len(y) for y in on_two_ranks(on_rank)] == [1, 2]


def test_synchronise__one_rank_keeps_its_layers():
    comm = Threads(0, threading.Barrier(1), [None])
    assert type(synchronise(nn.Sequential(nn.BatchNorm1d(2)), comm)[0]) is nn.BatchNorm1d
