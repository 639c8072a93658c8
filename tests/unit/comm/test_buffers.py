from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from hpctrain.comm import Communicator, Ranks
from hpctrain.comm.batch_norm import synchronise
from hpctrain.comm.buffers import SharedBuffers


class Mailbox(Communicator):
    """Rank 0 leaves its broadcast here, rank 1 finds it."""

    kind = "mailbox"

    def __init__(self, rank: int, box: list[Tensor], world_size: int = 2) -> None:
        super().__init__(Ranks(rank, world_size, rank, 2, "here"), torch.device("cpu"))
        self.box = box

    def allreduce_async(self, tensor: Tensor, name: str, op: str = "mean") -> None:  # type: ignore[override]
        raise AssertionError

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        (tensor,) = tensors
        if self.rank == 0:
            self.box[:] = [tensor.clone()]
        else:
            tensor.copy_(self.box[0])


class Mixed(nn.Module):
    """Buffers of all kinds, of which `constant` is no part of a checkpoint."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.register_buffer("flag", torch.tensor([value > 1, True]))
        self.register_buffer("mean", torch.full((2, 3), value).T)
        self.register_buffer("none", None)
        self.register_buffer("short", torch.full((3,), value, dtype=torch.bfloat16))
        self.register_buffer("constant", torch.full((2,), value), persistent=False)
        self.norm = nn.BatchNorm1d(3)
        self.norm.running_mean += value
        self.norm.num_batches_tracked += int(value)


def test_share__gives_all_ranks_those_of_rank_0() -> None:
    box: list[Tensor] = []
    first, second = Mixed(1.0), Mixed(2.0)
    mean = second.mean
    assert SharedBuffers(Mailbox(0, box), [first]).share()
    shared = SharedBuffers(Mailbox(1, box), [second, second.norm])
    assert shared.share()
    assert second.mean is mean
    assert second.constant.tolist() == [2, 2]
    found, expected = second.state_dict(), first.state_dict()
    for name in expected.keys() - {"norm.weight", "norm.bias"}:
        assert torch.equal(found[name], expected[name]), name
    second.mean = torch.zeros(3, 2)  # set anew, as some layers do
    assert shared.share()
    assert torch.equal(second.mean, first.mean)


def test_share__sends_nothing_where_all_is_the_same() -> None:
    box: list[Tensor] = []
    comm, constant = Mailbox(0, box), nn.Linear(2, 2)
    constant.register_buffer("constant", torch.ones(2), persistent=False)
    models = (constant, synchronise(nn.BatchNorm1d(2), comm))
    assert not SharedBuffers(comm, models).share()
    assert not SharedBuffers(Mailbox(0, box, world_size=1), [Mixed(1.0)]).share()
    assert box == []
